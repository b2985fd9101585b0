"""`modelward request`: ask for predictions, look at them, check them, have fees back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelward.cli.options import (
    AccountOption,
    ConfigOption,
    JsonOption,
    ModelArgument,
    NetworkOption,
    YesOption,
    ask_password,
    assignments,
)

if TYPE_CHECKING:
    from modelward.models.output import Prediction
    from modelward.sdk import Connection, RequestHistory, Result
    from modelward.terms import RequestId

app = typer.Typer(no_args_is_help=True)

IN_CLEAR = "input and output travel in clear: everybody can read them on chain"
PRIVATE = "input and output are sealed: who has the model's key can open them, and you"

OpenerOption = Annotated[
    str | None,
    typer.Option(
        "--account", metavar="NAME", help="An account with the model's key, to open what is sealed."
    ),
]
RequestArgument = Annotated[
    str,
    typer.Argument(metavar="ID", help="The request's id, or the beginning of one of your own."),
]


@app.command()
def send(
    model: ModelArgument,
    input_: Annotated[
        Path | None,
        typer.Option("--input", metavar="FILE", help="A row in JSON or CSV; - is standard input."),
    ] = None,
    assigned: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FEATURE=VALUE", help="One value of the row. Repeatable."),
    ] = None,
    fee: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="The price you expect; another is refused.")
    ] = None,
    max_fee: Annotated[
        str | None, typer.Option(metavar="AMOUNT", help="The most you are willing to pay.")
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(
            metavar="WHEN",
            help="Latest moment for an answer, such as 15m or 2030-01-31T12:00Z; else 15m or as "
            "long as the model allows.",
        ),
    ] = None,
    worker: Annotated[
        str | None, typer.Option(metavar="NAME", help="The only worker that may answer.")
    ] = None,
    clear: Annotated[
        bool,
        typer.Option("--clear", help="Send input and have output in clear, though there is a key."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the answer, or only place it.")
    ] = True,
    accept_: Annotated[
        bool,
        typer.Option(
            "--accept",
            help="Take an answer that can be challenged at once, if the program on chain gives the "
            "same: the worker is paid earlier.",
        ),
    ] = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Request a prediction, pay for it, and wait for the answer."""
    from modelward.chain.encoding import to_hex
    from modelward.cli.moments import parse_moment
    from modelward.cli.printing import note, print_json, progress_line, shown_time
    from modelward.errors import BadInput
    from modelward.models.rows import read_row
    from modelward.sdk import Requester, connect, disputes, wait_for_result
    from modelward.terms import ZERO_ADDRESS, format_amount, parse_amount

    expected = None if fee is None else parse_amount(fee)
    most = None if max_fee is None else parse_amount(max_fee)
    values = assignments(assigned or [], "--set FEATURE=VALUE")
    if (input_ is None) == (not values):
        raise BadInput(
            "Give the row either with --input or with --set.",
            hint=f"`modelward model show {model}` lists the features.",
        )
    if accept_ and not wait:
        raise BadInput("What is to be accepted must be waited for: --accept without --no-wait.")
    connection = connect(
        network, account, config=config, default_role="requester", ask_password=ask_password
    )
    requester = Requester(connection)
    offered = requester.quote(model)
    if accept_ and offered.quote.offer.verifier == ZERO_ADDRESS:
        raise BadInput(
            f"The answers of {model} stand at once; there is nothing to accept.",
            hint="Leave out --accept.",
        )
    schema = offered.manifest.input
    row = schema.row(schema.parse(values)) if input_ is None else read_row(input_, schema)
    note(IN_CLEAR if clear or offered.service_key is None else PRIVATE)
    with progress_line() as progress:
        placed = requester.send(
            offered,
            row,
            fee=expected,
            max_fee=most,
            deadline=None if deadline is None else parse_moment(deadline, connection.now()),
            worker=worker,
            clear=clear,
            progress=progress,
        )
    typer.echo(
        f"request {to_hex(placed.id)} placed in block {placed.receipt.block_number}, "
        f"{format_amount(placed.fee)} held until {shown_time(placed.deadline)}",
        err=True,
    )
    if not wait:
        if json:
            print_json({"id": placed.id, "fee": str(placed.fee), "deadline": placed.deadline})
        else:
            typer.echo(to_hex(placed.id))
        return
    with progress_line() as progress:
        result = wait_for_result(connection, placed.id, progress=progress)
        if accept_ and result.pending:
            progress("the answer is right", "accepting it")
            disputes.accept(connection, placed.id)
            result = wait_for_result(connection, placed.id, progress=progress, standing=True)
    _print_result(connection, result, json=json)


@app.command()
def show(
    request: RequestArgument,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until there is an answer.")] = False,
    network: NetworkOption = None,
    account: OpenerOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show a request, and its answer once there is one."""
    from modelward.cli.printing import progress_line
    from modelward.errors import NotAnswered, RequestRefused
    from modelward.sdk import read_history, read_result, wait_for_result

    connection = _open_connection(network, account, config)
    wanted = _request_id(connection, request)
    if wait:
        with progress_line() as progress:
            result = wait_for_result(connection, wanted, progress=progress)
        _print_result(connection, result, json=json)
        return
    history = read_history(connection, wanted)
    try:
        result = read_result(connection, history)
    except (NotAnswered, RequestRefused):
        _print_request(connection, history, json=json)
        return
    _print_result(connection, result, json=json)


@app.command(name="list")
def list_requests(
    network: NetworkOption = None, config: ConfigOption = None, json: JsonOption = False
) -> None:
    """List the requests you placed from here."""
    from modelward.cli.printing import print_json, print_table, shown_time
    from modelward.sdk import connect, placed_requests
    from modelward.terms import ModelReference, format_fee

    connection = connect(network, config=config, reading=True)
    requests = placed_requests(connection)
    if json:
        print_json(
            [
                {
                    "id": each.id,
                    "model": each.record.model,
                    "status": each.status.name.lower(),
                    "block": each.block_number,
                    "fee": str(each.record.offer.fee),
                    "deadline": each.record.request.deadline,
                    "transaction": each.record.transaction_hash,
                }
                for each in requests
            ]
        )
        return
    rows = []
    for each in requests:
        model = ModelReference.parse(each.record.model)
        owner = connection.addresses.name(connection.addresses.address(model.owner))
        rows.append(
            (
                each.id or "never placed",
                f"{owner}/{model.name}@{model.version}",
                each.status.name.lower() if each.id else "",
                each.block_number,
                format_fee(each.record.offer.fee, each.record.offer.token),
                shown_time(each.record.request.deadline),
            )
        )
    print_table(("id", "model", "status", "block", "fee", "deadline"), rows)


@app.command()
def refund(
    request: RequestArgument,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Have the fee of a request nobody answered credited to its payer."""
    from modelward.sdk import Requester, connect
    from modelward.terms import format_fee

    connection = connect(
        network, account, config=config, default_role="requester", ask_password=ask_password
    )
    refunded = Requester(connection).refund(_request_id(connection, request))
    typer.echo(
        f"{format_fee(refunded.amount, refunded.token)} credited to "
        f"{connection.addresses.name(refunded.payer)} in block {refunded.block_number}; "
        "`modelward account withdraw` takes it out"
    )


@app.command()
def verify(
    request: RequestArgument,
    network: NetworkOption = None,
    account: OpenerOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Recompute all that an answer rests on, and replay the prediction from the pinned model."""
    from modelward.cli.printing import print_json, printable
    from modelward.sdk import verify as verify_request

    connection = _open_connection(network, account, config)
    verification = verify_request(connection, _request_id(connection, request))
    if json:
        print_json(
            {
                "id": verification.request_id,
                "verified": True,
                "identical": verification.identical,
                "delivered": _prediction_document(verification.delivered),
                "replayed": _prediction_document(verification.replayed),
                "checks": [
                    {"what": check.what, "value": check.value} for check in verification.checks
                ],
            }
        )
        return
    for check in verification.checks:
        typer.echo(f"ok  {check.what}: {printable(check.value)}")
    typer.echo(f"verified: {printable(str(verification.delivered))}")


@app.command()
def accept(
    request: RequestArgument,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Take an answer under examination at once, if the program on chain gives the same."""
    from modelward.sdk import connect, disputes

    connection = connect(
        network, account, config=config, default_role="requester", ask_password=ask_password
    )
    released = disputes.accept(connection, _request_id(connection, request))
    typer.echo(
        f"accepted in block {released.block_number}; "
        f"{connection.addresses.name(released.worker)} is paid and has its bond back"
    )


@app.command()
def challenge(
    request: RequestArgument,
    yes: YesOption = False,
    network: NetworkOption = None,
    account: AccountOption = None,
    config: ConfigOption = None,
) -> None:
    """Have the chain run the program, and put a wrong answer right.

    This publishes the request's input. Whoever copies the transaction and is mined first gets the
    challenger's half of the bond.
    """
    import sys

    from modelward.cli.printing import note
    from modelward.errors import BadInput
    from modelward.sdk import connect, disputes
    from modelward.terms import format_amount

    connection = connect(
        network, account, config=config, default_role="requester", ask_password=ask_password
    )
    judgement = disputes.judge(connection, _request_id(connection, request))
    expected = disputes.prospect(connection, judgement)
    note(
        f"half of the bond, {format_amount(expected.reward)}, less about "
        f"{format_amount(expected.cost)} for gas; a challenge publishes the input for good, and a "
        "copy of it that is mined first takes that half"
    )
    if not yes:
        if not sys.stdin.isatty():
            raise BadInput("Nothing was sent.", hint="Say --yes to challenge the answer.")
        typer.confirm("Challenge the answer?", abort=True)
    corrected = disputes.challenge(connection, judgement)
    challenger = connection.addresses.name(corrected.challenger)
    typer.echo(
        f"corrected in block {corrected.block_number}: the payer has the fee and "
        f"{format_amount(corrected.payer_share)} of the bond, {challenger} "
        f"{format_amount(corrected.challenger_share)}"
    )


@app.command()
def timeline(
    request: RequestArgument,
    network: NetworkOption = None,
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show what happened to a request, step by step, and where its money is."""
    from modelward.cli.printing import print_json, print_table
    from modelward.sdk import connect
    from modelward.sdk import timeline as read_timeline

    connection = connect(network, config=config, reading=True)
    told = read_timeline(connection, _request_id(connection, request))
    if json:
        print_json(
            [
                {
                    "block": step.block,
                    "timestamp": step.timestamp,
                    "step": step.words,
                    "actor": step.actor,
                    "gas": step.gas,
                    "transaction": step.transaction_hash,
                    "money": step.money,
                }
                for step in told
            ]
        )
        return
    print_table(
        ("block", "step", "actor", "gas", "money"),
        [
            (step.block, step.words, connection.addresses.name(step.actor), step.gas, step.money)
            for step in told
        ],
    )


def _open_connection(network: str | None, account: str | None, config: Path | None) -> Connection:
    """A connection that only reads, with an account's keys if one is named."""
    from modelward.sdk import connect

    return connect(
        network, account, config=config, reading=account is None, ask_password=ask_password
    )


def _request_id(connection: Connection, text: str) -> RequestId:
    import re

    from modelward.errors import BadInput, UnknownRequest
    from modelward.sdk import placed_requests
    from modelward.terms import RequestId

    if not re.fullmatch(r"0x[0-9a-fA-F]{1,64}", text):
        raise BadInput(
            f"{text!r} is not a request's id.", hint="It is 0x and 64 digits, or their beginning."
        )
    if len(text) == 66:
        return RequestId(bytes.fromhex(text[2:]))
    own = (each.id for each in placed_requests(connection) if each.id is not None)
    found = [each for each in own if f"0x{each.hex()}".startswith(text.lower())]
    if len(found) != 1:
        raise UnknownRequest(
            f"{len(found) or 'None'} of your requests begin with {text}.",
            hint="`modelward request list` shows them.",
        )
    return found[0]


def _print_result(connection: Connection, result: Result, *, json: bool) -> None:
    from modelward.chain.encoding import to_hex
    from modelward.cli.printing import print_fields, print_json, shown_time
    from modelward.terms import format_fee

    if json:
        print_json(
            {
                "id": result.request_id,
                "model": result.version.reference,
                "prediction": _prediction_document(result.prediction),
                "commitment": result.commitment,
                "verified": True,
                "pending_until": result.pending_until,
                "worker": result.worker,
                "block": result.block_number,
                "transaction": result.transaction_hash,
                "fee": str(result.fee),
            }
        )
        return
    prediction, output = result.prediction, result.manifest.output
    fields: list[tuple[str, object]] = [("prediction", str(prediction))]
    fields += [(f"  {label}", f"{score:f}") for label, score in prediction.scores.items()]
    answered = f"in block {result.block_number}"
    by = connection.addresses.name(result.worker) if result.worker else "its verifier"
    fields += [
        ("model", f"{result.version.name}@{result.version.number}"),
        ("answered", f"by {by} {answered} for {format_fee(result.fee, result.token)}"),
        ("commitment", to_hex(result.commitment)),
        ("verified", "this output, with the request's secret, has the commitment on chain"),
    ]
    if result.pending_until is not None:
        fields[-1] = ("verified", "the program on chain gives the same, bit for bit")
        accept = f"`modelward request accept {to_hex(result.request_id)}`"
        fields.append(
            ("pending", f"until {shown_time(result.pending_until)}; accept it now with {accept}")
        )
    if output.scores == "decision":
        fields.insert(1, ("scores", "distances from the decision boundary"))
    print_fields(fields)


def _print_request(connection: Connection, history: RequestHistory, *, json: bool) -> None:
    from modelward.chain.encoding import to_hex
    from modelward.cli.printing import print_fields, print_json, shown_time
    from modelward.sdk import Catalogue
    from modelward.terms import RefusalReason, format_fee

    requested, ending = history.requested, history.ending
    status = connection.escrow.request_of(history.id).status
    offer, query = requested.offer, requested.request
    reason = getattr(ending, "reason", None)
    if json:
        print_json(
            {
                "id": history.id,
                "status": status.name.lower(),
                "requester": query.requester,
                "payer": query.payer,
                "fee": str(offer.fee),
                "deadline": query.deadline,
                "block": requested.block_number,
                "transaction": requested.transaction_hash,
                "reason": None if reason is None else RefusalReason.of(reason).name.lower(),
            }
        )
        return
    version = Catalogue(connection).version_by_id(offer.model_id, offer.version_id)
    name = connection.addresses.name
    fields: list[tuple[str, object]] = [
        ("request", history.id),
        ("model", f"{name(version.registrant)}/{version.name}@{version.number}"),
        ("requester", name(query.requester)),
        ("placed", f"in block {requested.block_number}"),
        ("deadline", shown_time(query.deadline)),
        ("status", status.name.lower()),
    ]
    if status.held:
        look = f"`modelward request show --wait {to_hex(history.id)}`"
        fields.append(("answer", f"can be challenged still; {look} checks and shows it"))
    if reason is not None:
        fields.append(("reason", RefusalReason.of(reason).sentence))
    fee = format_fee(offer.fee, offer.token)
    fields.append(
        (
            "money",
            f"{fee} {'held in escrow' if ending is None else f'credited to {name(query.payer)}'}",
        )
    )
    print_fields(fields)


def _prediction_document(prediction: Prediction) -> dict[str, Any]:
    if prediction.value is not None:
        return {"value": f"{prediction.value:f}"}
    return {
        "label": prediction.label,
        "scores": {str(label): f"{score:f}" for label, score in prediction.scores.items()},
    }
