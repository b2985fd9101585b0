"""Workers as people run them: processes of their own against `modelward node`, and their deaths."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from modelward.chain.accounts import Account
from modelward.chain.connection import Chain
from modelward.chain.events import InferenceFulfilled
from modelward.chain.sender import Sender
from modelward.commitments import result_salt
from modelward.config import Config, load_config
from modelward.content.store import ContentStore
from modelward.deployment import deploy
from modelward.journal import Fulfilment, Identity, Journal, State, TransactionState
from modelward.terms import RequestStatus, frame_clear_output
from modelward.worker import Milestone, identity_of

from .trading import Counterparts, Published, TrainedModel, job

SECONDS = 120
"""Longest any process here may take, on a machine that has other things to do."""


@dataclass(frozen=True)
class Site:
    """A folder with a deploy.toml, and a node, contracts and a served model behind it."""

    folder: Path
    config: Config
    market: Counterparts
    model: Published
    identity: Identity

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.defpath,
            "MODELWARD_CONFIG": str(self.folder / "deploy.toml"),
            "MODELWARD_HOME": str(self.folder / "home"),
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "modelward", *arguments]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, capture_output=True, text=True, timeout=SECONDS
        )

    @contextmanager
    def running(self, *command: str, ready: str) -> Iterator[subprocess.Popen[str]]:
        """A process, once it has printed `ready`; killed at the end if it still runs."""
        process = subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if ready in line:
                    break
            else:
                pytest.fail(f"{command} ended without printing {ready!r}")
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def site(
    repository: Path, trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    text = (repository / "deploy.toml").read_text(encoding="utf-8")
    (folder / "deploy.toml").write_text(text.replace(":8545", f":{port}"), encoding="utf-8")
    config = load_config(folder / "deploy.toml", environ={"MODELWARD_HOME": str(folder / "home")})
    node = subprocess.Popen(
        [sys.executable, "-m", "modelward", "node", "--port", str(port)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert node.stdout is not None
        assert any("listening" in line for line in node.stdout)
        chain = Chain.connect(config.network("local"))
        deployment = deploy(chain, Account.development("deployer"), config)
        market = Counterparts(
            deployment,
            Sender(chain, Account.development("owner")),
            Sender(chain, Account.development("requester")),
            ContentStore(config.store_url),
        )
        model = market.publish(trained.packaged.bundle)
        account = Account.development("worker")
        market.let_serve(model, account.address)
        identity = identity_of(chain, deployment, account)
        yield Site(folder, config, market, model, identity)
    finally:
        node.terminate()
        node.wait()


DYING_WORKER = str(Path(__file__).with_name("dying_worker.py"))
WRONG_CLOCK = str(Path(__file__).with_name("wrong_clock.py"))
ONCE = ("worker", "run", "--network", "local", "--account", "worker", "--once", "--journal")


@pytest.mark.parametrize("point", [Milestone.ANSWERED, Milestone.SIGNED, Milestone.BROADCAST])
def test_a_killed_worker_answers_exactly_once_after_a_restart_with_the_same_bytes(
    site, trained, tmp_path, point
):
    place = tmp_path / "journal.sqlite"
    placed = site.market.place(site.model, trained.row)

    killed = site.run(sys.executable, DYING_WORKER, point, str(place))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with Journal(place, site.identity) as journal:
        left = job(journal, placed)
        signed = journal.transactions(*TransactionState)
    assert left.state is (State.CONFIRMED if point is Milestone.ANSWERED else State.SIGNED)
    sent = point is Milestone.BROADCAST
    assert (site.market.status(placed) is RequestStatus.FULFILLED) == sent

    restarted = site.run(*site.command(*ONCE, str(place)))

    assert restarted.returncode == 0, restarted.stderr
    (answer,) = site.market.events(InferenceFulfilled, placed)
    assert answer.output == frame_clear_output(trained.output)
    with Journal(place, site.identity) as journal:
        done = job(journal, placed)
        transactions = journal.transactions(*TransactionState)
    assert done.state is State.FINAL
    assert done.answer == Fulfilment(answer.output, answer.commitment, result_salt(placed.secret))
    assert [transaction.hash for transaction in transactions] == [answer.transaction_hash]
    if signed:
        assert transactions[0].raw == signed[0].raw
        assert done.answer == left.answer


def test_a_worker_says_who_it_is_what_it_serves_and_that_it_has_no_key(site, tmp_path):
    done = site.run(*site.command(*ONCE, str(tmp_path / "journal.sqlite")))

    assert done.returncode == 0, done.stderr
    for said in (
        Account.development("worker").address,
        "balance",
        "31337",
        f"{site.market.owner.address}/breast-cancer",
        "no encryption key",
        "stopped",
    ):
        assert said in done.stdout


def test_a_worker_told_to_stop_ends_well(site, trained, tmp_path):
    command = site.command("worker", "run", "--journal", str(tmp_path / "journal.sqlite"))
    with site.running(*command, ready="note") as running:
        placed = site.market.place(site.model, trained.row)
        assert any("seen" in line for line in running.stdout)
        running.terminate()  # while the answer is being computed
        assert running.wait(SECONDS) == 0
        assert "stopped" in running.stdout.read()

    assert site.run(*site.command(*ONCE, str(tmp_path / "journal.sqlite"))).returncode == 0
    assert len(site.market.events(InferenceFulfilled, placed)) == 1


def test_a_second_worker_on_one_journal_is_refused_in_one_sentence(site, tmp_path):
    place = str(tmp_path / "journal.sqlite")
    command = site.command("worker", "run", "--journal", place)
    with site.running(*command, ready="serves") as first:
        second = site.run(*site.command(*ONCE, place))

    assert second.returncode == 4
    assert f"is in use by the process {first.pid}" in second.stderr
    assert "Traceback" not in second.stderr


def test_a_journal_of_another_chain_is_refused(site, tmp_path):
    place = tmp_path / "journal.sqlite"
    elsewhere = Identity(31337, b"\7" * 32, site.identity.escrow, site.identity.account)
    Journal(place, elsewhere).close()

    refused = site.run(*site.command(*ONCE, str(place)))

    assert refused.returncode == 2
    assert "was written on chain 31337 with genesis 0x07070707" in refused.stderr


def test_a_fee_that_is_no_amount_is_bad_input(site, tmp_path):
    refused = site.run(*site.command(*ONCE, str(tmp_path / "journal"), "--min-fee", "a lot"))
    assert refused.returncode == 2
    assert "'a lot' is not an amount of money" in refused.stderr
    assert not (tmp_path / "journal").exists()


RUNS = range(5 if os.environ.get("FULL") else 1)


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("skew", [-3_600, 3_600])
def test_a_host_clock_an_hour_off_makes_it_neither_late_nor_early(
    site, trained, tmp_path, skew, run
):
    place, market = tmp_path / "journal.sqlite", site.market
    late = market.place(site.model, trained.row, lifetime=60)
    market.deployment.chain.rpc("evm_setNextBlockTimestamp", [late.request.deadline + 1])
    market.deployment.chain.rpc("evm_mine")
    in_time = market.place(site.model, trained.row, lifetime=600)
    missing = market.publish(
        trained.packaged.bundle,
        name=f"missing{skew}-{run}",
        uri="memory://nowhere",
        content_hash=os.urandom(32),
    )
    market.let_serve(missing, Account.development("worker").address)
    waiting = market.place(missing, trained.row, lifetime=600)

    done = site.run(sys.executable, WRONG_CLOCK, str(skew), *ONCE, str(place))

    assert done.returncode == 0, done.stderr
    assert market.status(in_time) is RequestStatus.FULFILLED
    assert market.status(late) is market.status(waiting) is RequestStatus.OPEN
    with Journal(place, site.identity) as journal:
        states = [job(journal, placed).state for placed in (in_time, waiting)]
        signed = journal.transactions(*TransactionState)
        answered = {each for one in signed for each in journal.carried_by(one.hash)}
        assert journal.job(late.id) is None or job(journal, late).state is State.EXPIRED
    assert states == [State.FINAL, State.CONFIRMED]
    assert answered & {late.id, in_time.id, waiting.id} == {in_time.id}
