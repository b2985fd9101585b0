"""Publishing what a pipeline made, on the terms its file states."""

from __future__ import annotations

from pathlib import Path

from modelward.pipeline.definition import Pipeline, Publishing
from modelward.pipeline.run import Finished
from modelward.sdk.connection import Connection
from modelward.sdk.lineage import keep_lineage
from modelward.sdk.owner import Owner, PublishedVersion
from modelward.terms import parse_amount, parse_duration


def publish_run(
    connection: Connection, pipeline: Pipeline, terms: Publishing, base: Path, run: Finished
) -> PublishedVersion:
    """Publish a finished run as the connection's account, its lineage kept beforehand.

    `base` is what the paths of the pipeline's source are relative to. Publishing it again sends
    nothing. Raises as `keep_lineage` and `Owner.publish_packaged`.
    """
    keep_lineage(connection, pipeline, base, run)
    return Owner(connection).publish_packaged(
        run.packaged,
        price=parse_amount(terms.price),
        payee=terms.payee,
        payee_bps=terms.payee_bps,
        max_delay=parse_duration(terms.max_delay) if terms.max_delay else None,
        open=terms.open,
        private=terms.private,
    )
