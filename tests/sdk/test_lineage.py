"""A published version is followed back to its data; one changed byte anywhere is found."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelward.errors import BadInput, HashMismatch, LineageBroken
from modelward.pipeline.definition import Pipeline, parse_pipeline
from modelward.pipeline.lineage import CARD, LINKS
from modelward.pipeline.run import Finished, run_pipeline
from modelward.sdk import Connection, Owner, Requester
from modelward.sdk.lineage import keep_lineage, model_card, trace
from modelward.terms import parse_amount
from tests.market import MODEL
from tests.pipeline.orchard import NUMBERS_FROM_A_FILE, apples

REFERENCE = "owner/apples@1"
ON_CHAIN = ("metrics", "bundle", CARD, "manifest", "version", "registered", "published")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Pipeline, Path]:
    """A finished run, with its source."""
    folder = tmp_path_factory.mktemp("apples")
    apples().to_csv(folder / "apples.csv", index=False)
    pipeline = parse_pipeline(NUMBERS_FROM_A_FILE, folder / "pipeline.toml")
    run_pipeline(pipeline, base=folder, directory=folder / "steps")
    return pipeline, folder


@pytest.fixture
def published(whole, owner: Owner, tmp_path: Path) -> Path:
    """A copy of the run, published."""
    pipeline, finished = whole
    folder = tmp_path / "apples"
    shutil.copytree(finished, folder)
    run: Finished = run_pipeline(pipeline, base=folder, directory=folder / "steps")
    keep_lineage(owner.connection, pipeline, folder, run)
    owner.publish_packaged(run.packaged, price=parse_amount("0.001 ether"))
    return folder


def flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def broken_links(connection: Connection) -> set[str]:
    return {link.name for link in trace(connection, REFERENCE).links if link.holds is False}


def test_every_link_from_the_source_to_the_transactions_holds(
    published: Path, owner: Owner
) -> None:
    traced = trace(owner.connection, REFERENCE)
    assert [link.name for link in traced.links] == [*LINKS, *ON_CHAIN]
    assert all(link.holds for link in traced.links)
    traced.require_whole()


def test_who_did_not_run_it_sees_the_links_and_checks_what_is_public(
    published: Path, owner: Owner
) -> None:
    shutil.rmtree(owner.connection.config.home / "lineages")
    traced = trace(owner.connection, REFERENCE)
    assert [link.name for link in traced.links] == [*LINKS, *ON_CHAIN]
    assert [link.holds for link in traced.links] == [None] * len(LINKS) + [True] * len(ON_CHAIN)


@pytest.mark.parametrize(
    ("file", "link"),
    [
        ("apples.csv", "source"),
        ("steps/clean-*/table.jsonl", "cleaned"),
        ("steps/split-*/split.json", "split"),
        ("steps/train-*/estimator.skops", "training"),
        ("steps/evaluate-*/card.html", "card"),
        ("steps/package-*/bundle.zip", "bundle"),
    ],
)
def test_one_changed_byte_breaks_its_link(
    published: Path, owner: Owner, file: str, link: str
) -> None:
    [changed] = published.glob(file)
    flip(changed)
    assert broken_links(owner.connection) == {link}
    with pytest.raises(LineageBroken, match=f"is broken at {link}") as broken:
        trace(owner.connection, REFERENCE).require_whole()
    assert broken.value.links == (link,)


@pytest.mark.parametrize("mine", [True, False], ids=["to its owner", "to anybody"])
@pytest.mark.parametrize("link", ["manifest", "bundle", CARD])
def test_one_changed_byte_of_what_is_stored_breaks_its_link(
    published: Path, owner: Owner, link: str, mine: bool
) -> None:
    connection = owner.connection
    traced = trace(connection, REFERENCE)
    version = traced.version.version
    (card,) = [each.value for each in traced.links if each.name == CARD]
    digests = {
        "manifest": version.manifest_hash.hex(),
        "bundle": version.content_hash.hex(),
        CARD: card.removeprefix("0x"),
    }
    if not mine:
        shutil.rmtree(connection.config.home / "lineages")
    root = Path(connection.store.url.removeprefix("file://"))
    [stored] = [path for path in root.rglob("*") if path.name == digests[link]]
    stored.chmod(0o600)
    flip(stored)
    assert link in broken_links(connection)
    if link == CARD:
        with pytest.raises(HashMismatch):
            model_card(connection, REFERENCE)


def test_anybody_can_read_the_model_card(published: Path, outsider: Requester) -> None:
    [card] = published.glob("steps/evaluate-*/card.html")
    assert model_card(outsider.connection, REFERENCE) == card.read_bytes()
    with pytest.raises(BadInput, match="has no model card"):
        model_card(outsider.connection, MODEL)


def test_a_step_that_is_gone_is_not_called_broken(published: Path, owner: Owner) -> None:
    shutil.rmtree(next(published.glob("steps/clean-*")))
    held = {link.name: link.holds for link in trace(owner.connection, REFERENCE).links}
    assert held["cleaned"] is None
    assert held["source"] is True
