"""`modelward drill`: everything that goes wrong with a worker, on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelward.cli.options import JsonOption

if TYPE_CHECKING:
    from modelward.drill.drill import DrillReport


def run_drill(
    faults: Annotated[
        str, typer.Option(metavar="all|NAME,...", help="The rows of the table to run.")
    ] = "all",
    seed: Annotated[int, typer.Option(min=0, help="The first run's seed.")] = 0,
    requests: Annotated[
        int | None, typer.Option(min=1, help="How many requests the soak has.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option(min=1, help="How many runs of each row; else the profile's.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="The full profile: it takes hours.")] = False,
    lanes: Annotated[int, typer.Option(min=1, help="How many runs at a time.")] = 3,
    queue: Annotated[
        str | None,
        typer.Option(metavar="URL", help="A PostgreSQL server, for the row one-queue."),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="Begin no run after the first violation.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Kill, reorganise, delay, drop, double and lie, on anvil; then compare chain and journal.

    Fails if a request was lost, answered twice or paid for wrongly. Whatever happens follows from
    the seed.
    """
    from modelward.cli.printing import print_json, progress_line
    from modelward.drill import drill

    names = [] if faults == "all" else [name.strip() for name in faults.split(",")]
    with progress_line() as progress:
        report = drill.run_drill(
            names,
            seed=seed,
            full=full,
            runs=runs,
            requests=requests,
            lanes=lanes,
            queue=queue,
            fail_fast=fail_fast,
            progress=progress,
        )
    if json:
        print_json(_document(report))
    else:
        _print(report)
    report.require()


def _print(report: DrillReport) -> None:
    from modelward.cli.printing import print_table

    print_table(
        ("row", "fault", "runs", "demanded", "found", "violations"),
        [
            (
                each.row.name,
                each.row.fault,
                each.runs,
                each.row.demanded,
                ", ".join(f"{count:,} {what}" for what, count in _counted(each.findings.counts)),
                len(each.violations),
            )
            for each in report.results
        ],
    )
    typer.echo()
    for row, violation in report.violations:
        typer.echo(f"{row}, seed {violation.seed}: {violation.what}")
    runs = sum(each.runs for each in report.results)
    typer.echo(
        f"{runs:,} runs from the seed {report.seed} in {report.seconds:,.0f} s, "
        f"{len(report.violations)} violations"
    )


def _counted(counts: dict[str, int]) -> list[tuple[str, int]]:
    return [(what, count) for what, count in counts.items() if count]


def _document(report: DrillReport) -> dict[str, Any]:
    return {
        "seed": report.seed,
        "profile": "full" if report.full else "quick",
        "seconds": round(report.seconds, 1),
        "rows": [
            {
                "row": each.row.name,
                "fault": each.row.fault,
                "demanded": each.row.demanded,
                "runs": each.runs,
                "seconds": round(each.seconds, 1),
                "found": dict(_counted(each.findings.counts)),
                "violations": [
                    {"seed": violation.seed, "what": violation.what}
                    for violation in each.violations
                ],
            }
            for each in report.results
        ],
    }
