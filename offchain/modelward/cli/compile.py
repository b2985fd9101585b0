"""`modelward compile`: make the committed artifacts from the Solidity sources."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelward.errors import BadInput


def compile_contracts(
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; fail if the committed artifacts differ."),
    ] = False,
    solc: Annotated[
        Path | None,
        typer.Option(envvar="MODELWARD_SOLC", help="The Solidity compiler to use."),
    ] = None,
    project: Annotated[
        Path | None,
        typer.Option(help="The checkout to compile; by default the one modelward runs from."),
    ] = None,
) -> None:
    """Compile the contracts and write their artifacts into the package."""
    from modelward.solidity import build
    from modelward.solidity.compiler import SOLC_BUILD, find_compiler
    from modelward.solidity.sources import CONTRACTS, checkout

    root = project or checkout()
    if root is None:
        raise BadInput(
            "There is nothing to compile: this modelward was installed without its Solidity "
            "sources, and brings the contracts compiled.",
            hint="Clone the repository, or name a checkout with --project.",
        )
    if not (root / CONTRACTS).is_dir():
        raise BadInput(f"{root} is no checkout of modelward: it has no {CONTRACTS} folder.")

    compiler = find_compiler(solc, project=root)
    built = build.build(root, compiler)
    for warning in built.warnings:
        typer.echo(f"warning: {warning}", err=True)
    if check:
        build.check(root, built)
    else:
        build.write(root, built)

    typer.echo(f"solc {SOLC_BUILD}, {compiler.origin}")
    width = max((len(artifact.name) for artifact in built.artifacts), default=0)
    for artifact in built.artifacts:
        size = len(artifact.deployed_bytecode)
        share = size / build.CODE_SIZE_LIMIT
        typer.echo(
            f"{artifact.name:<{width}}  {size:>6,} of {build.CODE_SIZE_LIMIT:,} bytes ({share:.0%})"
        )
    typer.echo("The committed artifacts match." if check else "The artifacts are written.")
