"""The commands of owners and requesters, and what they print."""

from __future__ import annotations

import io
import json
import re
import sys

import pytest
import skops.io

from modelward.sdk import Catalogue
from modelward.terms import Access, RefusalReason, Right
from tests.market import MODEL, PRICE


@pytest.fixture
def row(breast_cancer):
    return breast_cancer.inputs.iloc[0].to_dict()


@pytest.fixture
def row_file(project, row):
    (project / "row.json").write_text(json.dumps(row), encoding="utf-8")
    return "row.json"


@pytest.fixture
def answered(requester, worker, row):
    placed = requester.send(MODEL, row)
    worker.answer(placed.id)
    return placed


# --- requests ------------------------------------------------------------------------------------


def test_send_places_a_request_and_prints_its_id(run, row_file, connection):
    sent = run("request", "send", MODEL, "--input", row_file, "--no-wait")
    assert sent.code == 0
    assert re.fullmatch(r"0x[0-9a-f]{64}\n", sent.out)
    state = connection.escrow.request_of(bytes.fromhex(sent.out.strip()[2:]))
    assert state.fee == PRICE


def test_send_says_that_input_and_output_travel_in_clear(run, row_file):
    sent = run("request", "send", MODEL, "--input", row_file, "--no-wait")
    assert "note: input and output travel in clear: everybody can read them on chain\n" in sent.err


def test_send_waits_and_prints_what_was_verified(run, row_file, working, breast_cancer):
    with working():
        sent = run("request", "send", MODEL, "--input", row_file)
    assert sent.code == 0, sent.err
    label = breast_cancer.estimator.predict(breast_cancer.inputs.iloc[[0]])[0]
    assert sent.out.splitlines()[0] == f"prediction   {label}"
    assert "verified     this output, with the request's secret, has the commitment" in sent.out
    assert "waiting for a worker" in sent.err
    assert "0.001 ether held until" in sent.err


def test_the_row_may_come_from_standard_input(run, row, monkeypatch):
    given = io.TextIOWrapper(io.BytesIO(json.dumps(row).encode()))
    monkeypatch.setattr(sys, "stdin", given)
    assert run("request", "send", MODEL, "--input", "-", "--no-wait").code == 0


def test_the_row_may_be_set_value_by_value(run, row):
    values = [part for name, value in row.items() for part in ("--set", f"{name}={value}")]
    assert run("request", "send", MODEL, *values, "--no-wait").code == 0


def test_send_as_json(run, row_file):
    sent = run("request", "send", MODEL, "--input", row_file, "--no-wait", "--json")
    document = json.loads(sent.out)
    assert document["fee"] == str(PRICE)
    assert re.fullmatch("0x[0-9a-f]{64}", document["id"])


def test_show_gives_the_result_by_the_beginning_of_an_id(run, answered):
    shown = run("request", "show", f"0x{answered.id.hex()[:10]}", "--json")
    document = json.loads(shown.out)
    assert document["id"] == f"0x{answered.id.hex()}"
    assert document["prediction"]["label"] == "malignant"
    assert document["verified"] is True


def test_show_gives_an_open_request(run, requester, row):
    placed = requester.send(MODEL, row)
    shown = run("request", "show", f"0x{placed.id.hex()}")
    assert (shown.code, shown.err) == (0, "")
    assert re.search(r"^status +open$", shown.out, re.MULTILINE)
    assert re.search(r"^money +0\.001 ether held in escrow$", shown.out, re.MULTILINE)


def test_show_gives_a_declined_request_with_the_reason(run, requester, worker, row):
    placed = requester.send(MODEL, row)
    worker.decline(placed.id, RefusalReason.INPUT_OUT_OF_SCHEMA)
    shown = run("request", "show", f"0x{placed.id.hex()}")
    assert "The input does not fit the model's input schema." in shown.out
    assert "0.001 ether credited to requester" in shown.out


def test_waiting_for_a_request_nobody_answers_says_how_to_have_the_fee_back(
    run, requester, row, market
):
    placed = requester.send(MODEL, row, delay=60)
    market.devchain.increase_time(61)
    shown = run("request", "show", "--wait", f"0x{placed.id.hex()}")
    assert shown.code == 4
    assert f"hint: `modelward request refund 0x{placed.id.hex()}` returns the fee." in shown.err


def test_refund_then_withdraw(run, requester, row, market):
    placed = requester.send(MODEL, row, delay=60)
    market.devchain.increase_time(61)
    refunded = run("request", "refund", f"0x{placed.id.hex()}", "--account", "outsider")
    assert "0.001 ether credited to requester in block" in refunded.out
    assert re.search(
        r"owed by the escrow +0\.001 ether", run("account", "balance", "requester").out
    )
    taken = run("account", "withdraw", "--account", "requester")
    assert "0.001 ether paid out to requester in block" in taken.out


def test_list_shows_every_request_on_one_line(run, requester, worker, row, answered):
    requester.send(MODEL, row)
    lines = run("request", "list").out.splitlines()
    assert [line.split()[2] for line in lines[1:]] == ["fulfilled", "open"]
    assert lines[1].startswith(f"0x{answered.id.hex()}  owner/breast-cancer@1")
    listed = json.loads(run("request", "list", "--json").out)
    assert [each["status"] for each in listed] == ["fulfilled", "open"]


def test_verify_says_what_matched(run, answered):
    verified = run("request", "verify", f"0x{answered.id.hex()}")
    lines = verified.out.splitlines()
    assert [line[:4] for line in lines[:-1]] == 6 * ["ok  "]
    assert lines[-1] == "verified: malignant"


def test_verify_of_a_lie_exits_with_1(run, requester, worker, row):
    from eth_abi import encode

    placed = requester.send(MODEL, row)
    lie = encode(["uint8", "uint256", "int256[]"], [1, 0, [10**9, 0]])
    worker.answer(placed.id, output=lie)
    shown = run("request", "show", f"0x{placed.id.hex()}")
    assert shown.out.splitlines()[0].split() == ["prediction", "benign"]
    verified = run("request", "verify", f"0x{placed.id.hex()}", "--json")
    assert (verified.code, verified.out) == (1, "")
    assert "in the answer the label is 'benign' instead of 'malignant'" in verified.err


def test_timeline_is_a_table_of_what_happened(run, answered, owner):
    owner.withdraw()
    lines = run("request", "timeline", f"0x{answered.id.hex()}").out.splitlines()
    assert lines[0].split() == ["block", "step", "actor", "gas", "money"]
    assert [line.split()[1] for line in lines[1:]] == ["requested", "answered", "withdrew"]
    told = json.loads(run("request", "timeline", f"0x{answered.id.hex()}", "--json").out)
    assert all(step["gas"] > 21_000 for step in told)


# --- models and grants ---------------------------------------------------------------------------


@pytest.fixture
def estimator_files(project, breast_cancer):
    skops.io.dump(breast_cancer.estimator, project / "model.skops")
    held_out = breast_cancer.inputs.assign(target=breast_cancer.labels)
    held_out.to_csv(project / "held-out.csv", index=False)


@pytest.mark.usefixtures("estimator_files")
def test_publish_says_what_it_sent_and_nothing_the_second_time(run):
    command = (
        "model", "publish", "model.skops", "--held-out", "held-out.csv", "--name", "second",
        "--price", "5 gwei", "--threshold", "accuracy=0.95", "--range", "mean radius=0:60",
        "--open", "--max-delay", "2h", "--payee-bps", "1000",
    )  # fmt: skip
    first, second = run(*command), run(*command)
    assert first.code == 0, first.err
    assert first.out.splitlines()[:3] == [
        "registered the model second",
        "set the service key of epoch 1",
        "published a version",
    ]
    assert second.out.splitlines()[0] == (
        "this very version was published before; nothing was sent"
    )
    assert first.out.splitlines()[3:] == second.out.splitlines()[1:]
    shown = json.loads(run("model", "show", "owner/second", "--json").out)
    assert shown["terms"]["fee"] == str(5 * 10**9)
    assert (shown["terms"]["open"], shown["terms"]["max_delay"]) == (True, 7_200)
    assert shown["thresholds"] == {"accuracy": 950_000}
    radius = next(c for c in shown["input"]["columns"] if c["name"] == "mean radius")
    assert (radius["minimum"], radius["maximum"]) == (0.0, 60.0)


@pytest.mark.usefixtures("estimator_files")
def test_a_model_published_from_files_is_the_one_published_from_memory(run, market):
    again = run(
        "model", "publish", "model.skops", "--held-out", "held-out.csv",
        "--name", "breast-cancer", "--price", "0.001 ether", "--clear", "--json",
    )  # fmt: skip
    document = json.loads(again.out)
    assert document["changes"] == []
    assert document["id"] == f"0x{market.published.version.id.hex()}"


def test_a_list_says_whose_word_the_metrics_are(run):
    [header, line] = run("model", "list").out.splitlines()
    assert header.split() == ["model", "version", "price", "requests", "metrics"]
    assert line.startswith("owner/breast-cancer  @1       0.001 ether  by grant  accuracy 0.98")
    assert line.endswith("(self-attested)")
    assert json.loads(run("model", "list", "sponsor", "--json").out) == []


def test_show_lists_versions_and_features(run):
    shown = run("model", "show", MODEL).out
    assert re.search(r"^price +0\.001 ether, 50 % of it to owner$", shown, re.MULTILINE)
    assert re.search(r"^thresholds +accuracy 0\.9$", shown, re.MULTILINE)
    assert re.search(r"^gives +benign, malignant$", shown, re.MULTILINE)
    assert re.search(r"^mean radius +number +-6\.812 to 36\.811$", shown, re.MULTILINE)


def test_a_retired_model_is_shown_as_retired(run):
    assert "retired owner/breast-cancer in block" in run("model", "retire", MODEL, "--yes").out
    assert re.search(r"^status +retired$", run("model", "show", MODEL).out, re.MULTILINE)
    assert re.search(r"none +0\.001 ether +by grant +retired", run("model", "list").out)


def test_a_grant_is_made_listed_and_revoked(run, market):
    added = run(
        "grant", "add", "outsider", MODEL, "--right", "infer", "--right", "serve",
        "--uses", "7", "--expires", "30d",
    )  # fmt: skip
    assert added.out.startswith("granted infer, serve on owner/breast-cancer to outsider (0x15d3")
    line = next(x for x in run("grant", "list", MODEL).out.splitlines() if "outsider" in x)
    assert re.search(r"breast-cancer +infer, serve +7 of 7 +20\d\d-.* UTC +yes$", line)
    assert "revoked the grant on owner/breast-cancer to outsider" in (
        run("grant", "revoke", "outsider", MODEL).out
    )
    line = next(x for x in run("grant", "list", MODEL).out.splitlines() if "outsider" in x)
    assert line.endswith("the owner revoked it")


def test_revoking_without_a_model_ends_everything(run, connection):
    assert "revoked every grant to worker" in run("grant", "revoke", "worker").out
    owner, worker = map(connection.addresses.address, ("owner", "worker"))
    model = Catalogue(connection).model(MODEL).id
    access = connection.data_share.access_of(owner, worker, model, Right.SERVE)
    assert access is Access.REVOKED


# --- what is printed -----------------------------------------------------------------------------


def test_nothing_from_the_chain_steers_the_terminal(run, owner):
    """A model may be registered under any name, by a client other than ours."""
    from modelward.terms import ModelTerms

    registry = owner.connection.registry
    owner.connection.send(registry.register_model("\x1b[2Jevil\r\n", ModelTerms(0)))
    listed = run("model", "list").out
    assert "\x1b" not in listed
    assert "\r" not in listed
    assert r"\x1b[2Jevil\r\n" in listed


def test_nothing_in_an_error_steers_the_terminal(run):
    shown = run("model", "show", "owner/\x1b[2Jevil")
    assert "owner has no model '\\x1b[2Jevil'" in shown.err
    assert run("request", "show", "\x1b[2J").err.count("\x1b") == 0


def test_output_that_is_not_for_a_terminal_has_no_colour_and_no_wrapping(run, answered):
    for line in run("request", "list").out.splitlines():
        assert "\x1b" not in line
        assert line == line.rstrip()
    assert all("\x1b" not in line for line in run("model", "show", MODEL).out.splitlines())


@pytest.mark.parametrize("verb", ["list", "show", "verify", "timeline"])
def test_looking_opens_no_key(run, answered, monkeypatch, verb):
    from modelward.sdk import connection

    def refuse(*_, **__):
        raise AssertionError("a key was asked for")

    monkeypatch.setattr(connection, "open_account", refuse)
    arguments = [] if verb == "list" else [f"0x{answered.id.hex()}"]
    assert run("request", verb, *arguments).code == 0
