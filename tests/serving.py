"""An ASGI application served on loopback, on a free port, while a test runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette


@contextmanager
def serving(app: Starlette, **options: Any) -> Iterator[int]:
    """Serve; gives the port. `options` are uvicorn's."""
    settings = uvicorn.Config(app, port=0, log_level="error", lifespan="off", **options)
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)
