"""The manifest: what everyone may know about a model version, in canonical JSON.

Requesters read it for the input schema and the classes, workers check a bundle against it. Its
keccak256 is the manifest hash in the registry.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eth_utils.crypto import keccak

from modelward.errors import InvalidBundle, InvalidTerms
from modelward.models import canonical_json
from modelward.models.exact.agreement import Agreement
from modelward.models.exact.inputs import InputEncoding
from modelward.models.exact.program import MAX_PROGRAM_BYTES, Encoding
from modelward.models.output import OutputSpec
from modelward.models.schema import InputSchema, Row
from modelward.terms import Metric

MANIFEST_FORMAT = 1
MAX_MANIFEST_BYTES = 4 * 2**20

LIBRARIES = ("python", "numpy", "scipy", "scikit-learn", "skops")


@dataclass(frozen=True)
class Evaluation:
    """What the metrics were measured on: how many rows, and the salted hash of their data."""

    rows: int
    data_hash: bytes


@dataclass(frozen=True)
class ProgramRecord:
    """The exact program that answers in the estimator's place.

    `encoding` is what it takes. Its scores differ from the estimator's by `score_error` units of
    the last decimal at most, the estimator's own rounding noise aside; `held_out` and, for a
    classification with rows of several labels, `boundary` are what was measured.
    """

    hash: bytes
    size: int
    encoding: Encoding
    score_error: int
    held_out: Agreement
    boundary: Agreement | None


@dataclass(frozen=True)
class Manifest:
    """Everything public about one model version.

    `estimator` describes the estimator's classes, `libraries` pins the versions it was bundled
    with, `lineage` maps names (of data sets, of sources) to salted hashes. With a `program`, that
    is what answers.
    """

    name: str
    input: InputSchema
    output: OutputSpec
    estimator: str
    libraries: Mapping[str, str]
    metrics: tuple[Metric, ...] = ()
    evaluation: Evaluation | None = None
    lineage: Mapping[str, bytes] = field(default_factory=dict)
    program: ProgramRecord | None = None

    def canonical_input(self, row: Row) -> bytes:
        """The bytes a request for this canonical row commits to."""
        if self.program is None:
            return self.input.encode_row(row)
        return InputEncoding(self.input, self.program.encoding).encode_row(row)

    def to_bytes(self) -> bytes:
        """The canonical JSON; `InvalidBundle` if `from_bytes` would refuse it."""
        data = canonical_json.dumps(self._to_json())
        if Manifest.from_bytes(data) != self:
            raise InvalidBundle("The manifest cannot be written in canonical form.")
        return data

    @property
    def hash(self) -> bytes:
        """keccak256 of the canonical JSON."""
        return keccak(self.to_bytes())

    def _to_json(self) -> dict[str, Any]:
        return {
            "format": MANIFEST_FORMAT,
            "name": self.name,
            "input": self.input.to_json(),
            "output": self.output.to_json(),
            "estimator": self.estimator,
            "libraries": dict(self.libraries),
            "metrics": [
                {
                    "name": metric.name,
                    "ppm": metric.ppm,
                    "higherIsBetter": metric.higher_is_better,
                }
                for metric in self.metrics
            ],
            "evaluation": None
            if self.evaluation is None
            else {
                "rows": self.evaluation.rows,
                "dataHash": "0x" + self.evaluation.data_hash.hex(),
            },
            "lineage": {name: "0x" + digest.hex() for name, digest in self.lineage.items()},
            "program": None if self.program is None else _program_json(self.program),
        }

    @classmethod
    def from_bytes(cls, data: bytes) -> Manifest:
        """Read canonical JSON strictly; `InvalidBundle` says what is wrong with it."""
        value = canonical_json.fields(
            canonical_json.loads(data, what="The manifest", limit=MAX_MANIFEST_BYTES),
            (
                "format",
                "name",
                "input",
                "output",
                "estimator",
                "libraries",
                "metrics",
                "evaluation",
                "lineage",
                "program",
            ),
            "The manifest",
        )
        if type(value["format"]) is not int or value["format"] != MANIFEST_FORMAT:
            raise InvalidBundle(
                f"The manifest has the format {value['format']!r}, not {MANIFEST_FORMAT}.",
                hint="A newer modelward may be able to read it.",
            )
        libraries = canonical_json.fields(value["libraries"], LIBRARIES, "'libraries'")
        return cls(
            name=canonical_json.text(value["name"], "The model's name"),
            input=InputSchema.from_json(value["input"]),
            output=OutputSpec.from_json(value["output"]),
            estimator=canonical_json.text(value["estimator"], "'estimator'", limit=4096),
            libraries={
                name: canonical_json.text(version, f"The version of {name}", limit=64)
                for name, version in libraries.items()
            },
            metrics=_metrics(value["metrics"]),
            evaluation=_evaluation(value["evaluation"]),
            lineage=_lineage(value["lineage"]),
            program=_program(value["program"]),
        )


def _metrics(value: object) -> tuple[Metric, ...]:
    metrics = []
    for item in canonical_json.array(value, "'metrics'", limit=64):
        fields = canonical_json.fields(item, ("name", "ppm", "higherIsBetter"), "A metric")
        try:
            metrics.append(
                Metric(
                    name=canonical_json.text(fields["name"], "A metric's name"),
                    higher_is_better=canonical_json.boolean(
                        fields["higherIsBetter"], "'higherIsBetter'"
                    ),
                    ppm=canonical_json.integer(
                        fields["ppm"], "'ppm'", minimum=-(2**63), maximum=2**63 - 1
                    ),
                )
            )
        except InvalidTerms as error:
            raise InvalidBundle(f"The manifest is malformed: {error.message}") from error
    if len({metric.name for metric in metrics}) != len(metrics):
        raise InvalidBundle("The manifest names a metric twice.")
    return tuple(metrics)


def _evaluation(value: object) -> Evaluation | None:
    if value is None:
        return None
    evaluation = canonical_json.fields(value, ("rows", "dataHash"), "'evaluation'")
    return Evaluation(
        rows=canonical_json.integer(evaluation["rows"], "'rows'", minimum=1, maximum=2**53),
        data_hash=canonical_json.digest(evaluation["dataHash"], "'dataHash'"),
    )


def _lineage(value: object) -> dict[str, bytes]:
    if not isinstance(value, dict) or len(value) > 256:
        raise InvalidBundle("'lineage' must be an object of at most 256 hashes.")
    return {
        canonical_json.text(name, "A lineage name"): canonical_json.digest(
            digest, f"The lineage hash {name[:40]!r}"
        )
        for name, digest in value.items()
    }


_ENCODINGS = {encoding.name.lower(): encoding for encoding in Encoding}
_AGREEMENT = ("rows", "agreeing", "furthest")


def _program_json(record: ProgramRecord) -> dict[str, Any]:
    def measured(agreement: Agreement) -> dict[str, int]:
        return {name: getattr(agreement, name) for name in _AGREEMENT}

    return {
        "hash": "0x" + record.hash.hex(),
        "size": record.size,
        "encoding": record.encoding.name.lower(),
        "scoreError": record.score_error,
        "heldOut": measured(record.held_out),
        "boundary": None if record.boundary is None else measured(record.boundary),
    }


def _program(value: object) -> ProgramRecord | None:
    if value is None:
        return None
    fields = canonical_json.fields(
        value,
        ("hash", "size", "encoding", "scoreError", "heldOut", "boundary"),
        "'program'",
    )
    encoding = canonical_json.text(fields["encoding"], "'encoding'", limit=16)
    if encoding not in _ENCODINGS:
        raise InvalidBundle(f"The program takes the unknown encoding {encoding!r}.")
    boundary = fields["boundary"]
    return ProgramRecord(
        hash=canonical_json.digest(fields["hash"], "The program's hash"),
        size=canonical_json.integer(fields["size"], "'size'", minimum=1, maximum=MAX_PROGRAM_BYTES),
        encoding=_ENCODINGS[encoding],
        score_error=canonical_json.integer(
            fields["scoreError"], "'scoreError'", minimum=0, maximum=2**53
        ),
        held_out=_agreement(fields["heldOut"], "'heldOut'"),
        boundary=None if boundary is None else _agreement(boundary, "'boundary'"),
    )


def _agreement(value: object, what: str) -> Agreement:
    fields = canonical_json.fields(value, _AGREEMENT, what)
    rows = canonical_json.integer(fields["rows"], "'rows'", minimum=1, maximum=2**53)
    return Agreement(
        rows=rows,
        agreeing=canonical_json.integer(fields["agreeing"], "'agreeing'", minimum=0, maximum=rows),
        furthest=canonical_json.integer(fields["furthest"], "'furthest'", minimum=0, maximum=2**53),
    )
