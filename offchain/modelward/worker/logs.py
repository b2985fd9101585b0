"""A worker's log: a line for people, or one JSON object a line for programs.

A record says what it is about by `extra`: `event` names it, `request` is the request's id. Inputs,
outputs, secrets and keys are in no message, and nothing but these fields is written.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Literal, TextIO

LogFormat = Literal["text", "json"]

_TEXT = "%(asctime)s %(levelname)-7s %(message)s"


class JsonLines(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields = {"time": moment, "level": record.levelname.lower(), "logger": record.name}
        for name in ("event", "request", "state", "transaction"):
            value = getattr(record, name, None)
            if value is not None:
                fields[name] = f"0x{value.hex()}" if isinstance(value, bytes) else str(value)
        fields["message"] = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            fields["error"] = record.exc_info[0].__name__
        return json.dumps(fields, ensure_ascii=False)


def log_to(stream: TextIO, form: LogFormat) -> None:
    """Write the log of this process to `stream` in this form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonLines() if form == "json" else logging.Formatter(_TEXT))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
