"""What a model gives: a label, its scores, and the one byte string of both.

The canonical output is `abi.encode(uint8 version, uint256 label, int256[] scores)`: version 1, the
label's index in the manifest's class list (0 for a regression), and each score times
10^`decimals`, rounded half to even from the exact value of the float.

scores         per prediction
=============  ==================================================================================
`probability`  one per class, in the order of the classes
`decision`     the same, or for two classes a single one: how far the row is on the second's side
`none`         none: the estimator gives labels only
`value`        the predicted value of a regression
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Literal, cast, get_args

from eth_abi.abi import decode as abi_decode
from eth_abi.abi import encode as abi_encode
from eth_abi.exceptions import DecodingError

from modelward.errors import InvalidBundle, InvalidOutput, PredictionFailed
from modelward.models import canonical_json

Task = Literal["classification", "regression"]
Scores = Literal["probability", "decision", "none", "value"]
Label = str | int | float | bool

OUTPUT_VERSION = 1
MAX_CLASSES = 4096
MAX_DECIMALS = 18
CLASSIFICATION_DECIMALS = 9

_TYPES = ("uint8", "uint256", "int256[]")
_INT256 = 2**255


@dataclass(frozen=True)
class OutputSpec:
    """How a model's outputs are to be read; raises `InvalidBundle` when it contradicts itself."""

    task: Task
    classes: tuple[Label, ...]
    scores: Scores
    decimals: int

    def __post_init__(self) -> None:
        if self.task not in get_args(Task) or self.scores not in get_args(Scores):
            raise InvalidBundle(f"Unknown output: {self.task!r} with the scores {self.scores!r}.")
        if (self.task == "regression") != (self.scores == "value"):
            raise InvalidBundle(f"A {self.task} cannot have the scores {self.scores!r}.")
        canonical_json.integer(self.decimals, "'decimals'", minimum=0, maximum=MAX_DECIMALS)
        if self.task == "regression":
            if self.classes:
                raise InvalidBundle("A regression has no classes.")
            return
        if not 1 <= len(self.classes) <= MAX_CLASSES:
            raise InvalidBundle(f"A classification has 1 to {MAX_CLASSES} classes.")
        for label in self.classes:
            if not isinstance(label, str | int | float) or (
                isinstance(label, float) and not math.isfinite(label)
            ):
                raise InvalidBundle("A class label must be text, a number or a boolean.")
            if isinstance(label, str) and len(label) > 256:
                raise InvalidBundle("A class label is longer than 256 characters.")
        if len(set(self.classes)) != len(self.classes):
            raise InvalidBundle("A class appears twice.")

    @property
    def scored_classes(self) -> tuple[Label, ...]:
        """The classes the scores of a classification belong to, in their order."""
        if self.scores == "none":
            return ()
        if self.scores == "decision" and len(self.classes) == 2:
            return self.classes[1:]
        return self.classes

    @property
    def score_count(self) -> int:
        """How many scores every output has."""
        return 1 if self.task == "regression" else len(self.scored_classes)

    def to_json(self) -> dict[str, Any]:
        """The specification as it stands in a manifest."""
        return {
            "task": self.task,
            "classes": list(self.classes),
            "scores": self.scores,
            "decimals": self.decimals,
        }

    @classmethod
    def from_json(cls, value: object) -> OutputSpec:
        """Read what `to_json` wrote; `InvalidBundle` for anything else."""
        spec = canonical_json.fields(value, ("task", "classes", "scores", "decimals"), "The output")
        classes = canonical_json.array(spec["classes"], "The classes", limit=MAX_CLASSES)
        return cls(
            task=cast(Task, canonical_json.text(spec["task"], "The task")),
            classes=tuple(classes),
            scores=cast(Scores, canonical_json.text(spec["scores"], "The kind of scores")),
            decimals=spec["decimals"],
        )


@dataclass(frozen=True)
class Prediction:
    """A decoded output.

    `label` is the class (None for a regression), `scores` each scored class's exact score, `value`
    the predicted value of a regression, `units` the scores as they were encoded, in
    10^-decimals.
    """

    label_index: int
    label: Label | None
    scores: Mapping[Label, Decimal]
    value: Decimal | None
    units: tuple[int, ...]

    def __str__(self) -> str:
        return str(self.label) if self.value is None else f"{self.value:f}"


def output_bytes(scores: int) -> int:
    """The length of a canonical output with this many scores."""
    return 32 * (4 + scores)


def encode_output(spec: OutputSpec, label_index: int, scores: Sequence[float]) -> bytes:
    """The canonical output of one prediction.

    Raises `PredictionFailed` for a score that is not finite or leaves int256.
    """
    if len(scores) != spec.score_count or not 0 <= label_index < max(1, len(spec.classes)):
        raise PredictionFailed(
            f"The estimator gave {len(scores)} scores and the label number {label_index}, which"
            " its manifest does not allow."
        )
    units = []
    for score in scores:
        if not math.isfinite(score):
            raise PredictionFailed("The estimator gave a score that is not a finite number.")
        unit = round(Fraction(float(score)) * 10**spec.decimals)
        if not -_INT256 <= unit < _INT256:
            raise PredictionFailed(f"The score {score} does not fit into 256 bits.")
        units.append(unit)
    return encode_units(label_index, units)


def encode_units(label_index: int, units: Sequence[int]) -> bytes:
    """The canonical output of a prediction whose scores are whole multiples of 10^-decimals."""
    return abi_encode(_TYPES, (OUTPUT_VERSION, label_index, units))


def decode_output(spec: OutputSpec, data: bytes) -> Prediction:
    """The prediction whose canonical output is `data`; `InvalidOutput` if there is none."""
    label_index, units = _decoded(spec, data)
    scores = tuple(Decimal((unit < 0, _digits(unit), -spec.decimals)) for unit in units)
    if spec.task == "regression":
        return Prediction(0, None, {}, scores[0], units)
    return Prediction(
        label_index=label_index,
        label=spec.classes[label_index],
        scores=dict(zip(spec.scored_classes, scores, strict=True)),
        value=None,
        units=units,
    )


def outputs_agree(spec: OutputSpec, a: bytes, b: bytes, *, tolerance_units: int = 1) -> bool:
    """Whether two honest runs of the same model may have given `a` and `b`.

    Floating-point estimators differ in the last bits between machines. Every score has to be
    within `tolerance_units` (of 10^-decimals) of its counterpart, and the labels have to be equal,
    unless both outputs show the two labels in a tie for the first place within the same tolerance.
    Raises `InvalidOutput` for bytes that are no canonical output.
    """
    (label_a, units_a), (label_b, units_b) = _decoded(spec, a), _decoded(spec, b)
    if any(abs(x - y) > tolerance_units for x, y in zip(units_a, units_b, strict=True)):
        return False
    return label_a == label_b or all(
        _tied(spec, units, (label_a, label_b), tolerance_units) for units in (units_a, units_b)
    )


def first_difference(spec: OutputSpec, delivered: bytes, right: bytes) -> str | None:
    """The first value in which two canonical outputs differ, in words; None if they are the same.

    Raises `InvalidOutput` for bytes that are no canonical output.
    """
    (label, units), (right_label, right_units) = _decoded(spec, delivered), _decoded(spec, right)
    if label != right_label:
        return f"the label is {spec.classes[label]!r} instead of {spec.classes[right_label]!r}"
    names = [f"the score of {each!r}" for each in spec.scored_classes] or ["the value"]
    for name, unit, right_unit in zip(names, units, right_units, strict=True):
        if unit != right_unit:
            given, wanted = (
                Decimal((each < 0, _digits(each), -spec.decimals)) for each in (unit, right_unit)
            )
            return f"{name} is {given:f} instead of {wanted:f}"
    return None


def _tied(
    spec: OutputSpec, units: tuple[int, ...], labels: tuple[int, int], tolerance: int
) -> bool:
    if not units:
        return False
    if len(units) < len(spec.classes):
        return abs(units[0]) <= tolerance
    return all(max(units) - units[label] <= tolerance for label in labels)


def _decoded(spec: OutputSpec, data: bytes) -> tuple[int, tuple[int, ...]]:
    if len(data) != output_bytes(spec.score_count):
        raise InvalidOutput(
            f"The output is {len(data)} bytes long; this model's are"
            f" {output_bytes(spec.score_count)}."
        )
    try:
        version, label, units = abi_decode(_TYPES, data)
    except (DecodingError, OverflowError, ValueError) as error:
        raise InvalidOutput("The output is not ABI-encoded as an output is.") from error
    if abi_encode(_TYPES, (version, label, units)) != data:
        raise InvalidOutput("The output is not in canonical form.")
    if version != OUTPUT_VERSION:
        raise InvalidOutput(f"The output has the unknown version {version}.")
    if label >= max(1, len(spec.classes)):
        raise InvalidOutput(f"The output names class number {label} of {len(spec.classes)}.")
    if len(units) != spec.score_count:
        raise InvalidOutput(f"The output has {len(units)} scores instead of {spec.score_count}.")
    if spec.scores == "probability" and not all(0 <= unit <= 10**spec.decimals for unit in units):
        raise InvalidOutput("The output has a probability outside 0 to 1.")
    return label, tuple(units)


def _digits(unit: int) -> tuple[int, ...]:
    return tuple(int(digit) for digit in str(abs(unit)))
