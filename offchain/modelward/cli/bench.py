"""`modelward bench`: measure what modelward costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer

from modelward.errors import BadInput, CheckFailed

app = typer.Typer(no_args_is_help=True)


@app.callback()
def bench() -> None:
    """Measure what modelward costs."""


@app.command()
def gas(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if a figure is not the committed one.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Make these figures the ones to commit.")
    ] = False,
    snapshot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The committed figures; else tests/snapshots/gas.json."),
    ] = None,
    crowd: Annotated[
        int,
        typer.Option(min=1, help="How many open requests and grants to measure among, too."),
    ] = 300,
) -> None:
    """Measure the gas of every call of the contracts, on an embedded chain.

    All figures are taken twice, with next to nothing open and in a crowd of open requests and
    grants; the command fails if they differ.
    """
    from modelward.bench import gas as bench
    from modelward.cli.printing import print_json

    if check and write:
        raise BadInput("--check and --write exclude each other.")
    committed = (snapshot or _committed_snapshot()) if check or write else None

    measured = bench.measure()
    if committed and check:
        bench.check(measured, committed)
    if committed and write:
        bench.write(measured, committed)
    crowded = bench.measure(crowd=crowd)

    if as_json:
        print_json({"gas": measured, "crowd": crowd, "gas_in_the_crowd": crowded})
    else:
        _print(measured, crowded, crowd)
    grown = bench.differences(crowded, measured)
    if grown:
        raise CheckFailed(f"What a call costs depends on what is open: {'; '.join(grown)}.")


@app.command()
def sealing(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    content: Annotated[int, typer.Option(min=1, help="MiB to seal and open in memory.")] = 64,
    file: Annotated[int, typer.Option(min=1, help="MiB of the file to seal and open.")] = 1024,
) -> None:
    """Measure sealing, opening and wrapping, their memory, and the gas of sharing.

    Speeds are given beside those of plain AES-GCM in the same run.
    """
    from modelward.bench import sealing as bench
    from modelward.cli.printing import print_fields, print_json

    figures = bench.measure(content_mib=content, file_mib=file)
    if as_json:
        print_json(figures)
        return
    gas = {f"gas: {name}": value for name, value in figures.pop("gas").items()}
    print_fields([(name.replace("_", " "), value) for name, value in (figures | gas).items()])


@app.command()
def worker(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    requests: Annotated[
        int, typer.Option(min=1, help="How many requests to answer, each way.")
    ] = 1_024,
    check: Annotated[
        bool, typer.Option("--check", help="Fail if the worker is too slow for its machine.")
    ] = False,
) -> None:
    """Measure a worker on anvil: answers a second, latency in blocks, CPU and gas for each.

    Rates are given beside that of empty transactions in the same run.
    """
    from modelward.bench import worker as bench
    from modelward.cli.printing import print_fields, print_json, progress_line

    with progress_line() as progress:
        figures = bench.measure(
            requests=requests, tell=lambda stage: progress(stage, f"{requests} each")
        )
    if as_json:
        print_json(figures)
    else:
        print_fields(list(_flat(figures)))
    if check and figures["ratio_one_by_one"] < bench.LEAST_RATIO:
        raise CheckFailed(
            f"Answers one by one come at {figures['ratio_one_by_one']} of the rate of empty "
            f"transactions, and {bench.LEAST_RATIO} is demanded."
        )


@app.command()
def privacy(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    runs: Annotated[int, typer.Option(min=2, help="How often to train with each epsilon.")] = 20,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a figure there, as PNG.")
    ] = None,
) -> None:
    """Measure what differential privacy costs: accuracy against epsilon, on breast cancer data."""
    from dataclasses import asdict

    from modelward.bench import privacy as bench
    from modelward.cli.pipeline import require_pipeline_packages
    from modelward.cli.printing import print_json, print_table, progress_line

    require_pipeline_packages()
    with progress_line() as progress:
        cost = bench.measure(runs=runs, progress=lambda words: progress("training", words))
    if plot is not None:
        bench.plot(cost, plot)
    if as_json:
        print_json(asdict(cost))
        return
    rows = [
        (f"{epsilon:g}", f"{mean:.4f}", f"{deviation:.4f}", f"{mean - cost.without:+.4f}")
        for epsilon, mean, deviation in zip(cost.epsilons, cost.means, cost.deviations, strict=True)
    ]
    print_table(("epsilon", "accuracy", "deviation", "against none"), rows)
    typer.echo(f"without privacy {cost.without:.4f}; means of {cost.runs} runs")


def _flat(figures: Mapping[str, object], within: str = "") -> Iterator[tuple[str, object]]:
    """Figures in figures, one a line."""
    for name, value in figures.items():
        words = f"{within}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{words}: ")
        else:
            yield words, value


@app.command()
def exact(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure exact models: the gas of a dispute and of storing a program, and speed.

    A dispute's `run` is a transaction that only runs the stored program; `bookkeeping` is what the
    referee and the escrow add to it in a challenge. Speed is that of one row of floats, and of
    10,000, beside `predict_proba`; then of the canonical numbers made of them.
    """
    from modelward.bench import exact as bench
    from modelward.cli.printing import print_json, print_table

    figures_shown = ("us", "predict_proba_us", "ratio", "from_numbers_us", "from_numbers_ratio")
    figures = bench.measure()
    if as_json:
        print_json(figures)
        return
    print_table(
        ("model", "bytes", "store", "run", "challenge", "bookkeeping"),
        [(name, *gas.values()) for name, gas in figures["gas"].items()],
    )
    typer.echo()
    print_table(
        ("model", "rows", "us a row", "predict_proba", "ratio", "from numbers", "ratio"),
        [
            (name, rows, *(speed[f"{of}_{figure}"] for figure in figures_shown))
            for name, speed in figures["speed"].items()
            for of, rows in (("single", "1"), ("batch", "10,000"))
        ],
    )


def _committed_snapshot() -> Path:
    from modelward.solidity.sources import checkout

    root = checkout()
    if root is None:
        raise BadInput(
            "This modelward was installed without its sources, beside which figures are committed.",
            hint="Name a file with --snapshot.",
        )
    return root / "tests" / "snapshots" / "gas.json"


def _print(measured: Mapping[str, int], crowded: Mapping[str, int], crowd: int) -> None:
    from modelward.bench.anchors import ANCHORS
    from modelward.bench.gas import WORKS
    from modelward.cli.printing import print_table

    works = {work.key: work for work in WORKS}
    rows = []
    for key, figure in measured.items():
        work = works.get(key)
        several = work.times if work else 1
        each = f"{figure // several:,} each" if several > 1 else ""
        rows.append((figure, key, ", ".join(filter(None, (each, work.summary if work else "")))))
    print_table(("gas", "call", ""), rows)
    typer.echo()
    print_table(
        ("gas", "call", "elsewhere", "ratio", "where"),
        [
            (measured[key], key, anchor.gas, f"{measured[key] / anchor.gas:.2f}", anchor.name)
            for key, anchors in ANCHORS.items()
            for anchor in anchors
        ],
    )
    typer.echo()
    same = sum(crowded[key] == figure for key, figure in measured.items())
    typer.echo(
        f"Among {crowd} open requests and {crowd} grants, {same} of {len(measured)} figures "
        "are the same to the unit."
    )
