"""`modelward demo`: the whole story in one process, with everything checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelward.cli.options import JsonOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from modelward.demo import DemoCheck, DemoReport, DisputeReport


def show_demo(
    json: JsonOption = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Do not say what is being done meanwhile.")
    ] = False,
    exact: Annotated[
        bool, typer.Option("--exact", help="Tell another story: how the chain settles disputes.")
    ] = False,
) -> None:
    """Train, publish, grant, pay, predict, verify, refund and withdraw, on an embedded chain."""
    from modelward.cli.printing import print_json
    from modelward.demo import run_demo, run_dispute_demo

    silent = quiet or json
    tell = None if silent else lambda words: typer.echo(f"... {words}")
    if exact:
        dispute = run_dispute_demo(tell)
        if json:
            print_json(_dispute_document(dispute))
        else:
            _print_dispute(dispute)
        dispute.require()
        return
    report = run_demo(tell)
    if json:
        print_json(_document(report))
    else:
        _print(report)
    report.require()


def _print(report: DemoReport) -> None:
    from modelward.chain.encoding import to_hex
    from modelward.cli.printing import print_fields, print_table

    def heading(text: str) -> None:
        typer.echo(f"\n{text}\n")

    heading("Timeline")
    print_table(
        ("block", "step", "actor", "gas", "money"),
        [
            (step.block, step.words, report.names.get(step.actor, "deployer"), step.gas, step.money)
            for step in report.steps
        ],
    )
    heading("Prediction")
    result = report.result
    print_fields(
        [
            ("class", str(result.prediction)),
            *((f"  {label}", f"{score:f}") for label, score in result.prediction.scores.items()),
            ("commitment", to_hex(result.commitment)),
        ]
    )
    heading("Balances, in wei")
    print_table(
        ("account", "before", "- fees paid", "- gas", "+ withdrawn", "= after"),
        [
            (each.name, each.before, each.deposited, each.gas, each.withdrawn, each.after)
            for each in report.statements
        ],
    )
    typer.echo()
    escrow = report.escrow
    print_table(
        ("escrow: fees in", "payee's share", "worker's share", "refunded", "left"),
        [
            (
                escrow.fees_in,
                escrow.payee_share,
                escrow.worker_share,
                escrow.refunded,
                escrow.left,
            )
        ],
    )
    heading("Checks")
    _print_checks(report.checks)


def _print_checks(checks: Sequence[DemoCheck]) -> None:
    for check in checks:
        verdict = "ok    " if check.holds else "FAILED"
        detail = "" if check.holds else f" (expected {check.expected}, found {check.found})"
        typer.echo(f"{verdict}  {check.what}{detail}")


def _print_dispute(report: DisputeReport) -> None:
    from modelward.cli.printing import print_fields, print_table

    typer.echo("\nWhat each way of answering came to for the worker, in wei, gas included\n")
    print_table(("the worker", "gained"), list(report.outcomes.items()))
    typer.echo()
    print_fields(
        [
            ("fee", report.fee),
            ("bond", report.bond),
            ("program", f"{report.program_bytes:,} bytes on chain"),
            ("gas of the challenge", f"{report.challenge_gas:,}"),
        ]
    )
    typer.echo("\nChecks\n")
    _print_checks(report.checks)


def _dispute_document(report: DisputeReport) -> dict[str, Any]:
    return {
        "fee": str(report.fee),
        "bond": str(report.bond),
        "program_bytes": report.program_bytes,
        "challenge_gas": report.challenge_gas,
        "worker_gained": {words: str(wei) for words, wei in report.outcomes.items()},
        "checks": [{"what": check.what, "holds": check.holds} for check in report.checks],
    }


def _document(report: DemoReport) -> dict[str, Any]:
    return {
        "chain_id": report.chain_id,
        "genesis_hash": report.genesis_hash,
        "model": report.published.reference,
        "metrics": {metric.name: metric.ppm for metric in report.published.metrics},
        "timeline": [
            {
                "block": step.block,
                "step": step.words,
                "actor": step.actor,
                "gas": step.gas,
                "transaction": step.transaction_hash,
                "money": step.money,
            }
            for step in report.steps
        ],
        "prediction": {
            "label": report.result.prediction.label,
            "scores": {
                str(label): f"{score:f}" for label, score in report.result.prediction.scores.items()
            },
            "commitment": report.result.commitment,
            "replay_identical": report.verification.identical,
        },
        "balances": [
            {
                "account": each.name,
                "address": each.address,
                "before": str(each.before),
                "fees_paid": str(each.deposited),
                "gas": str(each.gas),
                "withdrawn": str(each.withdrawn),
                "after": str(each.after),
            }
            for each in report.statements
        ],
        "escrow": {
            "fees_in": str(report.escrow.fees_in),
            "payee_share": str(report.escrow.payee_share),
            "worker_share": str(report.escrow.worker_share),
            "refunded": str(report.escrow.refunded),
            "left": str(report.escrow.left),
        },
        "checks": [{"what": check.what, "holds": check.holds} for check in report.checks],
    }
