"""`modelward worker`: answer requests, for pay, and look after the worker that does."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from modelward.cli.interrupts import stop_on_signal
from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    JsonOption,
    NetworkOption,
    ask_password,
)

if TYPE_CHECKING:
    from modelward.chain.accounts import Account
    from modelward.deployment import Deployment
    from modelward.journal import Job, Journal
    from modelward.models.sandbox import Limits
    from modelward.sdk import Connection
    from modelward.terms import Address
    from modelward.worker import Worker
    from modelward.worker.vitals import Thresholds

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", metavar="URL", help="Where bundles are; else the store of deploy.toml."
    ),
]
GatewayOption = Annotated[
    str | None,
    typer.Option(
        "--gateway",
        metavar="URL",
        help="Ask this gateway for bundles first; else that of deploy.toml.",
    ),
]
JournalOption = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="PATH",
        help="The journal's file or database URL; else one a chain and account under its home.",
    ),
]
LogOption = Annotated[
    Literal["text", "json"],
    typer.Option("--log-format", help="Lines for people, or a JSON object a line."),
]


@app.callback()
def worker() -> None:
    """Answer requests, for pay."""


@app.command("run")
def run_worker(
    network: NetworkOption = None,
    account: AccountOption = None,
    store: StoreOption = None,
    gateway: GatewayOption = None,
    min_fee: Annotated[
        str | None,
        typer.Option(
            metavar="AMOUNT",
            help='The least its share of a fee must be, such as "0.001 ether" or "50 gwei".',
        ),
    ] = None,
    allow_loss: Annotated[
        bool, typer.Option("--allow-loss", help="Answer even when the gas costs more than it pays.")
    ] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Answer what there is to answer, then exit.")
    ] = False,
    journal: JournalOption = None,
    log_format: LogOption = "text",
    metrics_port: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Serve /metrics, /healthz and /readyz on this loopback port; 0 takes a free one.",
        ),
    ] = None,
    low_balance: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Raise an alarm below this balance.")
    ] = "0.01 ether",
    stall_after: Annotated[
        str, typer.Option(metavar="DURATION", help="Raise an alarm this far behind the chain.")
    ] = "5m",
    row_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.1, help="What one prediction may take.")
    ] = 20.0,
    opening_seconds: Annotated[
        float, typer.Option(metavar="SECONDS", min=1, help="What opening a bundle may take.")
    ] = 60.0,
    memory: Annotated[
        int, typer.Option(metavar="MIB", min=512, help="Address space of each predicting process.")
    ] = 4096,
    shutdown: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", min=0, help="How long SIGTERM lets what was begun be finished."
        ),
    ] = 30.0,
    config: ConfigOption = None,
) -> None:
    """Answer the requests for every model this account may serve, until interrupted.

    SIGTERM or an interrupt lets it finish what it has begun; a second one ends it at once. Nothing
    is lost either way.
    """
    from modelward.errors import ReorganisedTooDeep
    from modelward.models.sandbox import Limits
    from modelward.terms import parse_amount, parse_duration
    from modelward.worker.logs import log_to
    from modelward.worker.vitals import Thresholds

    log_to(sys.stderr, log_format)
    changes: dict[str, Any] = {}
    if min_fee is not None:
        changes["min_pay"] = parse_amount(min_fee)
    if allow_loss:
        changes["allow_loss"] = True
    thresholds = Thresholds(parse_amount(low_balance), parse_duration(stall_after))
    limits = Limits(row_seconds, opening_seconds, memory << 20)
    with _employed(
        network, account, store, gateway, journal, config, changes, thresholds, limits
    ) as running:
        stop = stop_on_signal()
        with _observed(running, metrics_port):
            if once:
                running.drain(stop)
            else:
                try:
                    running.run(stop, patience=shutdown)
                except ReorganisedTooDeep:
                    if metrics_port is not None:
                        stop.wait()  # so that whoever watches sees the alarm
                    raise
    typer.echo("stopped")


@app.command()
def drain(
    network: NetworkOption = None,
    account: AccountOption = None,
    store: StoreOption = None,
    gateway: GatewayOption = None,
    journal: JournalOption = None,
    log_format: LogOption = "text",
    timeout: Annotated[
        float, typer.Option(metavar="SECONDS", min=0, help="Give up after so long.")
    ] = 600.0,
    config: ConfigOption = None,
) -> None:
    """Bring to an end what a stopped worker had computed or sent, and take nothing new.

    A worker that is running does so by itself when it is sent SIGTERM.
    """
    from modelward.errors import JournalInUse, TimedOut
    from modelward.worker.logs import log_to
    from modelward.worker.service import IN_FLIGHT

    log_to(sys.stderr, log_format)
    stop = stop_on_signal()
    timer = threading.Timer(timeout, stop.set)
    timer.daemon = True
    timer.start()
    try:
        with _employed(network, account, store, gateway, journal, config) as running:
            running.drain(stop, take_new=False)
            left = len(running.journal.job_ids(*IN_FLIGHT))
    except JournalInUse as error:
        error.hint = f"That worker drains by itself: send SIGTERM to the process {error.holder}."
        raise
    finally:
        timer.cancel()
    if left:
        raise TimedOut(f"{left} answers are still under way after {timeout:g} s.")
    typer.echo("drained: no answer is under way")


@app.command()
def status(
    network: NetworkOption = None,
    account: AccountOption = None,
    journal: JournalOption = None,
    low_balance: Annotated[
        str, typer.Option(metavar="AMOUNT", help="Raise an alarm below this balance.")
    ] = "0.01 ether",
    stall_after: Annotated[
        str, typer.Option(metavar="DURATION", help="Raise an alarm this far behind the chain.")
    ] = "5m",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show where a worker stands, running or not."""
    from modelward.cli.printing import print_fields, print_json, shown_time
    from modelward.models.sandbox import Sandbox
    from modelward.terms import format_amount, format_fee, parse_amount, parse_duration
    from modelward.worker.vitals import Thresholds, look

    thresholds = Thresholds(parse_amount(low_balance), parse_duration(stall_after))
    with _beside(network, account, journal, config) as (connection, address, opened):
        standing = look(opened, connection.chain, address)
        place = str(opened.place)
    with Sandbox() as sandbox:
        isolation = sandbox.isolation
    alarms = standing.alarms(thresholds)
    cursor, chain = standing.cursor, connection.chain
    behind = f"{standing.lag_blocks} blocks behind"
    counts = {state.value: count for state, count in sorted(standing.counts.items())}
    if json:
        print_json(
            {
                "account": address,
                "chain": chain.chain_id,
                "genesis": chain.genesis_hash,
                "escrow": connection.escrow.address,
                "journal": place,
                "balance": str(standing.balance),
                "head": standing.head.number,
                "confirmed": standing.confirmed.number,
                "cursor": cursor.number if cursor else None,
                "lagBlocks": standing.lag_blocks,
                "lagSeconds": standing.lag_seconds,
                "earned": {token: str(fees) for token, fees in standing.money.earned.items()},
                "gasSpent": str(standing.money.spent),
                "queue": counts,
                "inFlight": [
                    {"transaction": each.hash, "nonce": each.nonce, "state": each.state.value}
                    for each in standing.in_flight
                ],
                "sandbox": {"network": isolation.network, "files": isolation.files},
                "alarms": {alarm.value: why for alarm, why in alarms.items()},
            }
        )
        return
    fields: list[tuple[str, object]] = [
        ("worker", f"{connection.addresses.name(address)} {address}"),
        ("balance", format_amount(standing.balance)),
        (
            "earned",
            ", ".join(format_fee(fees, token) for token, fees in standing.money.earned.items())
            or "nothing yet",
        ),
        ("gas", f"{format_amount(standing.money.spent)} spent"),
        ("chain", f"{chain.chain_id}, genesis 0x{chain.genesis_hash.hex()[:8]}…"),
        ("escrow", connection.escrow.address),
        ("journal", place),
        ("head", f"{standing.head.number}, confirmed {standing.confirmed.number}"),
        (
            "cursor",
            f"{cursor.number} of {shown_time(cursor.timestamp)}, {behind}"
            if cursor
            else "nothing read yet",
        ),
        ("queue", ", ".join(f"{count} {state}" for state, count in counts.items()) or "empty"),
        (
            "in flight",
            ", ".join(
                f"0x{each.hash.hex()[:8]}… (nonce {each.nonce}, {each.state})"
                for each in standing.in_flight
            )
            or "no transaction",
        ),
        ("sandbox", str(isolation)),
    ]
    fields += [("ALARM", f"{alarm}: {why}") for alarm, why in alarms.items()]
    print_fields(fields)


@app.command()
def jobs(
    state: Annotated[
        list[str] | None,
        typer.Option(metavar="STATE", help="Only those in this state; else all under way."),
    ] = None,
    network: NetworkOption = None,
    account: AccountOption = None,
    journal: JournalOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """List the requests a worker knows, and why each is where it is."""
    from modelward.cli.printing import print_json, print_table, shown_time
    from modelward.errors import BadInput
    from modelward.journal import State
    from modelward.terms import format_fee

    try:
        states = [State(each) for each in state or [s for s in State if not s.is_end]]
    except ValueError as error:
        known = ", ".join(State)
        raise BadInput(f"{error}.", hint=f"There are: {known}.") from error
    with _beside(network, account, journal, config) as (_, _, opened):
        found = opened.jobs(*states)
    if json:
        print_json([_job_document(job) for job in found])
        return
    print_table(
        ("request", "state", "pays", "deadline", "tries", "failed", "why"),
        [
            (
                job.request_id,
                job.state if job.on_chain else f"{job.state} (not on chain)",
                format_fee(job.offer.worker_share, job.offer.token),
                shown_time(job.request.deadline),
                job.attempts,
                job.failures,
                job.reason,
            )
            for job in found
        ],
    )


@app.command()
def retry(
    request: Annotated[
        str, typer.Argument(metavar="ID", help="The request's id, or its beginning.")
    ],
    network: NetworkOption = None,
    account: AccountOption = None,
    journal: JournalOption = None,
    config: ConfigOption = None,
) -> None:
    """Have a request that waits, or whose transactions failed, tried again at once.

    A running worker takes it up within a moment, a stopped one when it is started.
    """
    from modelward.errors import BadInput, UnknownRequest
    from modelward.journal import State

    wanted = request.lower()
    with _beside(network, account, journal, config) as (_, _, opened):
        found = [j for j in opened.jobs(*State) if f"0x{j.request_id.hex()}".startswith(wanted)]
        if len(found) != 1:
            raise UnknownRequest(
                f"{len(found) or 'None'} of the journal's requests begin with {request}.",
                hint="`modelward worker jobs` lists them.",
            )
        (job,) = found
        if not opened.retry(job.request_id):
            raise BadInput(
                f"The request is {job.state}, and waits for nothing.",
                hint="Only one that waits for a reason can be retried.",
            )
    typer.echo(f"0x{job.request_id.hex()} is tried again; it waited because: {job.reason}")


@app.command()
def resume(
    network: NetworkOption = None,
    account: AccountOption = None,
    journal: JournalOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    config: ConfigOption = None,
) -> None:
    """Let a worker go on that halted because a reorganisation was too deep.

    It goes back to the newest block it remembers that is still in the chain, and reads on from
    there. First it shows where that is: make sure that the endpoint is on the chain that counts.
    """
    from modelward.cli.printing import print_fields, shown_time
    from modelward.journal import Journal
    from modelward.worker.recovery import resume as go_on
    from modelward.worker.recovery import survey

    with _beside(network, account, journal, config) as (connection, _, opened):
        place, identity = opened.place.file or journal or "", opened.identity
    with Journal(place, identity) as held:
        found = survey(connection.chain, held)
        cursor, ancestor, depth = found.cursor, found.ancestor, found.depth
        print_fields(
            [
                ("halted", found.reason),
                ("chain", f"{connection.chain.chain_id} by {connection.chain.network.safe_url}"),
                (
                    "confirmed",
                    f"{found.confirmed.number} of {shown_time(found.confirmed.timestamp)}, "
                    f"0x{found.confirmed.hash.hex()}",
                ),
                ("had read", f"{cursor.number}, 0x{cursor.hash.hex()}" if cursor else "nothing"),
                (
                    "goes on",
                    f"after {ancestor.number}, {depth} blocks back"
                    if ancestor
                    else "from the first block: it remembers none that is still in the chain",
                ),
            ]
        )
        if not yes:
            typer.confirm("Is this the chain that counts?", abort=True)
        touched = go_on(connection.chain, held, found)
    typer.echo(f"goes on: {len(touched)} requests are looked at again by `modelward worker run`")


def _job_document(job: Job) -> dict[str, Any]:
    return {
        "id": job.request_id,
        "state": job.state.value,
        "onChain": job.on_chain,
        "model": job.offer.model_id,
        "version": job.offer.version_id,
        "requester": job.request.requester,
        "pays": str(job.offer.worker_share),
        "token": job.offer.token,
        "deadline": job.request.deadline,
        "block": job.placement.block_number,
        "attempts": job.attempts,
        "failures": job.failures,
        "transaction": job.transaction_hash,
        "reason": job.reason,
    }


@contextmanager
def _employed(
    network: str | None,
    account: str | None,
    store: str | None,
    gateway: str | None,
    journal: str | None,
    config: Path | None,
    changes: dict[str, Any] | None = None,
    thresholds: Thresholds | None = None,
    limits: Limits | None = None,
) -> Iterator[Worker]:
    """A worker on its journal, ready to run; `changes` are to the policy of deploy.toml."""
    from modelward.chain.accounts import open_account
    from modelward.chain.connection import Chain
    from modelward.config import load_config
    from modelward.content.store import ContentStore
    from modelward.deployment import check_deployment, load_deployment
    from modelward.sdk.key_files import open_key_files
    from modelward.worker import Worker, open_journal

    settings = load_config(config)
    bundles = ContentStore(store or settings.store_url)
    chain = Chain.connect(settings.network(network))
    deployment = load_deployment(chain, settings)
    check_deployment(deployment)
    signer = open_account(
        settings, chain, account, default_role="worker", ask_password=ask_password
    )
    key_files = open_key_files(settings, ask_password)
    _, public_key = deployment.data_share.key_of(signer.address)
    if key_files.find(public_key):
        key_files.open(public_key)  # asks for its password now rather than in the middle
    with (
        open_journal(
            chain, deployment, signer, directory=settings.journal_directory, place=journal
        ) as opened,
        Worker(
            chain,
            deployment,
            signer,
            bundles,
            opened,
            policy=replace(settings.worker, **(changes or {})),
            gateway=gateway or settings.gateway_url,
            key_files=key_files,
            thresholds=thresholds,
            limits=limits,
        ) as running,
    ):
        _introduce(deployment, signer, opened)
        yield running


@contextmanager
def _observed(running: Worker, port: int | None) -> Iterator[None]:
    """Serve the worker's metrics meanwhile, if there is a port to serve them on."""
    from modelward.worker.metrics import LOOPBACK, serve_metrics

    with ExitStack() as stack:
        if port is not None:
            served = stack.enter_context(
                serve_metrics(running.vitals, running.journal.identity, port)
            )
            typer.echo(f"metrics  on {LOOPBACK}:{served}")
        yield


@contextmanager
def _beside(
    network: str | None, account: str | None, journal: str | None, config: Path | None
) -> Iterator[tuple[Connection, Address, Journal]]:
    """The journal of an account's worker, running or not; no key is needed."""
    from modelward.errors import UnknownAccount
    from modelward.journal import Identity, Journal, default_path
    from modelward.sdk import connect

    connection = connect(network, config=config, reading=True)
    chain, settings = connection.chain, connection.config
    usual = "worker" if chain.network.development_accounts else None
    name = account or settings.default_account or usual
    if name is None:
        raise UnknownAccount(
            "No account was named.", hint="Name one with --account or MODELWARD_ACCOUNT."
        )
    address = connection.addresses.address(name)
    identity = Identity(chain.chain_id, chain.genesis_hash, connection.escrow.address, address)
    place = journal or default_path(settings.journal_directory, identity)
    with Journal(place, identity, beside=True) as opened:
        yield connection, address, opened


def _introduce(deployment: Deployment, account: Account, journal: Journal) -> None:
    from modelward.terms import format_amount
    from modelward.worker import servable_models

    chain = deployment.chain
    balance = format_amount(chain.balance(account.address))
    typer.echo(f"worker   {account.name} {account.address}, balance {balance}")
    typer.echo(f"chain    {chain.chain_id}, genesis 0x{chain.genesis_hash.hex()[:8]}…")
    typer.echo(f"escrow   {deployment.escrow.address}")
    typer.echo(f"journal  {journal.place}")
    models = servable_models(chain, deployment, account.address)
    for model in models:
        name = model.name if model.name.isprintable() else ascii(model.name)
        typer.echo(f"serves   {model.owner}/{name}")
    if not models:
        typer.echo("serves   nothing yet: no owner has granted this account SERVE")
    index, _ = deployment.data_share.key_of(account.address)
    if index:
        typer.echo(f"key      number {index} opens what is sealed for this account")
    else:
        typer.echo("note     no encryption key: `modelward key register` lets owners of private")
        typer.echo("         models grant SERVE to this account")
