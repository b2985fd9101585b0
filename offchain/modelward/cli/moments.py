"""Moments on the command line: so long from now, or a date."""

from __future__ import annotations

from datetime import UTC, datetime

from modelward.errors import InvalidTerms
from modelward.terms import parse_duration


def parse_moment(text: str, now: int) -> int:
    """Unix seconds from a duration after `now` ("30d"), or an ISO 8601 date ("2030-01-31T12:00Z").

    A date without a time zone is in UTC. Raises `InvalidTerms`.
    """
    try:
        return now + parse_duration(text)
    except InvalidTerms:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidTerms(
            f"{text!r} is not a moment.",
            hint="Write it as a time from now, such as 15m or 30d, or as 2030-01-31T12:00Z.",
        ) from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
