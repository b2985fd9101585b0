"""`modelward gateway`: hand stored ciphertext to those with a live grant, over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from modelward.cli.options import ConfigOption, NetworkOption


def run_gateway(
    host: Annotated[
        str, typer.Option(help="Where to listen; only this machine can reach the default.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8600,
    per_minute: Annotated[
        int, typer.Option(min=1, help="Requests a minute, for each caller and each account.")
    ] = 60,
    max_mib: Annotated[
        int, typer.Option("--max-mib", min=1, help="Hand out nothing larger, in MiB.")
    ] = 1024,
    network: NetworkOption = None,
    config: ConfigOption = None,
) -> None:
    """Hand stored content to accounts with a live READ or SERVE grant on it, until interrupted.

    They sign what they ask for, so that revoking a grant also stops the download.
    """
    from modelward.errors import ConfigurationError

    try:
        import uvicorn

        from modelward.gateway.service import make_gateway
    except ImportError as error:
        raise ConfigurationError(
            "The gateway needs packages that are not installed.",
            hint="Install modelward[gateway].",
        ) from error
    from modelward.sdk import connect

    connection = connect(network, config=config, reading=True)
    app = make_gateway(connection, per_minute=per_minute, max_bytes=max_mib << 20)
    typer.echo(f"store      {connection.store.url}")
    typer.echo(f"listening  http://{host}:{port}/content")
    uvicorn.run(app, host=host, port=port, log_level="warning", server_header=False)
