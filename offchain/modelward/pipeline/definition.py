"""pipeline.toml: what a model is made from, how, and when it is good enough.

The file is checked whole before anything runs; what is wrong is said with its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from modelward.errors import InvalidPipeline, InvalidTerms
from modelward.models.output import Task
from modelward.models.schema import DEFAULT_TEXT, MAX_TEXT
from modelward.pipeline.evaluate import parse_thresholds
from modelward.terms import Metric, check_model_name, parse_amount, parse_duration

_T = TypeVar("_T")

Remedy = Literal["refuse", "drop", "missing"]
"""What to do about an unusable cell: stop, drop its row, or count it as missing."""
Name = Annotated[str, Field(min_length=1, max_length=256)]
Number = Annotated[
    float,
    Field(allow_inf_nan=False),
    BeforeValidator(lambda value: float(value) if type(value) is int else value),
]

Label = Annotated[
    str,
    BeforeValidator(lambda value: str(value) if isinstance(value, bool | int) else value),
]
"""A category or class; TOML's whole numbers and booleans are taken by their text."""

CLASSIFIERS = ("logistic", "tree", "forest", "extra-trees", "boosting", "mlp")
REGRESSORS = ("linear", "ridge", "tree", "forest", "extra-trees", "boosting", "mlp")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class CsvSource(_Section):
    """A table with a header, in text; `encoding` is told by the bytes unless given."""

    kind: Literal["csv"]
    path: Name
    encoding: str | None = None
    delimiter: str = Field(default=",", pattern=r"^[^\w\r\n\"]$")


class ParquetSource(_Section):
    """A Parquet file."""

    kind: Literal["parquet"]
    path: Name


class JsonLinesSource(_Section):
    """A file with one JSON object a line."""

    kind: Literal["jsonl"]
    path: Name


class ScikitLearnSource(_Section):
    """A dataset that scikit-learn ships, by the name of its loader without `load_`."""

    kind: Literal["sklearn"]
    dataset: Literal["breast_cancer", "diabetes", "digits", "iris", "wine"]


class SharedSource(_Section):
    """A CSV, JSON lines or Parquet file shared through DataShare."""

    kind: Literal["shared"]
    owner: Name
    key: Name
    format: Literal["csv", "jsonl", "parquet"] = "csv"


class FrameSource(_Section):
    """The DataFrame given to `run_pipeline`."""

    kind: Literal["frame"]


Source = Annotated[
    CsvSource | ParquetSource | JsonLinesSource | ScikitLearnSource | SharedSource | FrameSource,
    Field(discriminator="kind"),
]


class ColumnRules(_Section):
    """What one column holds, and what to do about cells that hold something else.

    A date becomes the number of days since 1970-01-01. `aliases` are other spellings of
    categories. `impute` fills missing cells with the median or the most frequent value of the
    training rows, `fill` with `value`. A category or a boolean has no range. The `maximum` of a
    text is the most bytes it may take in UTF-8, 4096 unless stated.
    """

    kind: Literal["number", "integer", "boolean", "category", "date", "text"]
    use: bool = True
    rename: Name | None = None
    minimum: Number | None = None
    maximum: Number | None = None
    categories: tuple[Label, ...] = ()
    aliases: Mapping[str, str] = Field(default_factory=dict)
    formats: tuple[str, ...] = ("%Y-%m-%d",)
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    unit: str = ""
    invalid: Remedy = "refuse"
    outside: Literal["refuse", "drop", "missing", "clip"] = "refuse"
    missing: Literal["refuse", "drop", "impute", "fill"] = "refuse"
    value: float | str | bool | None = None
    unique: bool = False
    may_tell: bool = False

    @model_validator(mode="after")
    def _goes_together(self) -> ColumnRules:
        if self.kind == "text":
            self._check_text()
            return self
        ranged = self.kind in ("number", "integer", "date")
        if not ranged and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"a {self.kind} has no minimum or maximum")
        if None not in (self.minimum, self.maximum) and self.minimum > self.maximum:  # type: ignore[operator]
            raise ValueError(f"its minimum {self.minimum} is above its maximum {self.maximum}")
        if (self.kind == "category") != bool(self.categories):
            raise ValueError("`categories` lists those of a category, and of nothing else")
        if unknown := set(self.aliases.values()) - set(self.categories):
            raise ValueError(f"an alias stands for {sorted(unknown)[0]!r}, which is not listed")
        if (self.missing == "fill") != (self.value is not None):
            raise ValueError('`missing = "fill"` and `value` go together')
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError("the same sign cannot mark thousands and decimals")
        return self

    def _check_text(self) -> None:
        if self.minimum is not None or self.categories or self.aliases:
            raise ValueError("a text has a maximum only, the most bytes it may take")
        if self.maximum is not None and self.maximum not in range(1, MAX_TEXT + 1):
            raise ValueError(f"a text takes a whole number of bytes from 1 to {MAX_TEXT}")
        if self.missing == "impute":
            raise ValueError("a text that is missing is not imputed; fill it")
        if (self.missing == "fill") != isinstance(self.value, str):
            raise ValueError('`missing = "fill"` and a `value` of text go together')

    @property
    def longest(self) -> int:
        """The most bytes that a text may take."""
        return DEFAULT_TEXT if self.maximum is None else int(self.maximum)


class Target(_Section):
    """The column to predict: a category of `classes`, or a number."""

    column: Name
    task: Task
    classes: tuple[Label, ...] = ()
    aliases: Mapping[str, str] = Field(default_factory=dict)
    minimum: Number | None = None
    maximum: Number | None = None
    invalid: Literal["refuse", "drop"] = "refuse"
    outside: Literal["refuse", "drop"] = "refuse"
    missing: Literal["refuse", "drop"] = "refuse"

    @model_validator(mode="after")
    def _goes_together(self) -> Target:
        if (self.task == "classification") != (len(self.classes) > 1):
            raise ValueError("`classes` lists the two or more classes of a classification only")
        _ = self.rules
        return self

    @property
    def rules(self) -> ColumnRules:
        """The rules its cells are held to."""
        return ColumnRules(
            kind="category" if self.task == "classification" else "number",
            categories=self.classes,
            aliases=self.aliases,
            minimum=self.minimum,
            maximum=self.maximum,
            invalid=self.invalid,
            outside=self.outside,
            missing=self.missing,
        )


class Cleaning(_Section):
    """How hard to try: at most so many rounds, dropping at most that part of the rows."""

    rounds: int = Field(default=4, ge=1, le=20)
    duplicates: Literal["drop", "refuse", "keep"] = "drop"
    constant: Literal["drop", "refuse", "keep"] = "drop"
    drop_at_most: float = Field(default=0.2, ge=0, le=1)
    least_rows: int = Field(default=40, ge=10)


class Split(_Section):
    """Which part of the rows is held out; those with the same value of `group` stay together.

    With `order`, a column, the held-out rows are those that come last in it.
    """

    held_out: float = Field(default=0.25, gt=0, lt=1)
    group: Name | None = None
    order: Name | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _one_way(self) -> Split:
        if self.group and self.order:
            raise ValueError("rows are held out by `group` or by `order`, not by both")
        return self


class Privacy(_Section):
    """Differentially private training (`modelward.pipeline.private`).

    With `owner` and `key`, every run is recorded in the PrivacyLedger before it begins, against the
    budget that the owner of that data key has set.
    """

    epsilon: Annotated[Number, Field(gt=0)]
    strength: Annotated[Number, Field(gt=0)] = 0.01
    norm: Annotated[Number, Field(gt=0)] = 1.5
    owner: Name | None = None
    key: Name | None = None


class Training(_Section):
    """What to fit first, what else to try when that is not good enough, and how long."""

    estimator: str | None = None
    search: tuple[str, ...] | None = None
    folds: int = Field(default=5, ge=2, le=20)
    candidates: int = Field(default=24, ge=2, le=1000)
    tolerance: float = Field(default=1.0, ge=0)
    seed: int = Field(default=0, ge=0, lt=2**32)
    privacy: Privacy | None = None


class Evaluating(_Section):
    """Columns by whose values the metrics are told apart, on the card too."""

    groups: tuple[Name, ...] = ()


class Publishing(_Section):
    """The terms of the model on chain; what is not given stays as it is."""

    price: str
    payee: str | None = None
    payee_bps: int | None = Field(default=None, ge=0, le=10_000)
    max_delay: str | None = None
    open: bool | None = None
    private: bool = True

    @field_validator("price")
    @classmethod
    def _amount(cls, value: str) -> str:
        return _accepted(parse_amount, value)

    @field_validator("max_delay")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        return value if value is None else _accepted(parse_duration, value)


class Pipeline(_Section):
    """A whole pipeline.toml."""

    name: str
    source: Source
    target: Target
    columns: Mapping[str, ColumnRules]
    clean: Cleaning = Cleaning()
    split: Split = Split()
    train: Training = Training()
    evaluate: Evaluating = Evaluating()
    thresholds: Mapping[str, Number] = Field(default_factory=dict)
    publish: Publishing | None = None

    @field_validator("name")
    @classmethod
    def _model_name(cls, value: str) -> str:
        return _accepted(check_model_name, value)

    @model_validator(mode="after")
    def _goes_together(self) -> Pipeline:
        if not any(rules.use for rules in self.columns.values()):
            raise ValueError("there is no column to predict from")
        if self.target.column in self.columns:
            raise _Fault("this is the target; its rules are there", "columns", self.target.column)
        for section, key, name in (
            ("split", "group", self.split.group),
            ("split", "order", self.split.order),
            *(("evaluate", "groups", name) for name in self.evaluate.groups),
        ):
            if name is not None and name not in self.columns:
                raise _Fault(f"there is no column {name!r}", section, key)
        for name in self.evaluate.groups:
            if (kind := self.columns[name].kind) not in ("category", "boolean"):
                raise _Fault(
                    f"groups go by a category or a boolean, and {name!r} is of the kind {kind}:"
                    " its values would be public",
                    "evaluate",
                    "groups",
                )
        known = CLASSIFIERS if self.target.task == "classification" else REGRESSORS
        for key, names in (
            ("estimator", (self.train.estimator or known[0],)),
            ("search", self.train.search or ()),
        ):
            if unknown := set(names) - set(known):
                raise _Fault(
                    f"there is no {sorted(unknown)[0]!r} for a {self.target.task}, only"
                    f" {', '.join(known)}",
                    "train",
                    key,
                )
        if any(rules.use and rules.kind == "text" for rules in self.columns.values()):
            for key, stated in (("estimator", self.train.estimator), ("search", self.train.search)):
                if "boosting" in (stated or ()):
                    raise _Fault("boosting takes no text", "train", key)
        if self.train.privacy is not None:
            self._check_private(self.train.privacy)
        for metric, value in self.thresholds.items():
            parse = partial(parse_thresholds, self.target.task)
            _accepted(parse, {metric: value}, "thresholds", metric)
        return self

    def _check_private(self, privacy: Privacy) -> None:
        if len(self.target.classes) != 2:
            raise _Fault("private training is for two classes", "train", "privacy")
        if (privacy.owner is None) != (privacy.key is None):
            raise _Fault("`owner` and `key` go together", "train", "privacy")
        for name, rules in self.columns.items():
            if rules.use and (None in (rules.minimum, rules.maximum) or rules.missing == "impute"):
                raise _Fault(
                    "private training is over numbers, and learns neither ranges nor medians: state"
                    " a minimum and a maximum, and do not impute",
                    "columns",
                    name,
                )

    @property
    def gate(self) -> tuple[Metric, ...]:
        """The thresholds as the registry holds them."""
        return parse_thresholds(self.target.task, self.thresholds)

    @property
    def metric(self) -> str:
        """The metric that selection goes by: that of the first threshold, else of the task."""
        default = "balanced_accuracy" if self.target.task == "classification" else "rmse"
        return next(iter(self.thresholds), default)

    @property
    def features(self) -> tuple[str, ...]:
        """The names of the model's inputs, in order."""
        return tuple(r.rename or name for name, r in self.columns.items() if r.use)


class _Fault(ValueError):
    """What is wrong at a key below the section that finds it."""

    def __init__(self, message: str, *keys: str) -> None:
        super().__init__(message)
        self.keys = keys


def _accepted(parse: Callable[[Any], object], value: _T, *keys: str) -> _T:
    try:
        parse(value)
    except InvalidTerms as error:
        raise _Fault(error.message.rstrip("."), *keys) from error
    return value


def read_pipeline(file: str | Path) -> Pipeline:
    """The pipeline in `file`; `InvalidPipeline` names the first line that is wrong."""
    path = Path(file)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InvalidPipeline(f"There is no file {path}.", file=path) from error
    except OSError as error:
        raise InvalidPipeline(f"{path} cannot be read: {error.strerror}.", file=path) from error
    except UnicodeDecodeError as error:
        raise InvalidPipeline(f"{path} is not text in UTF-8.", file=path) from error
    return parse_pipeline(text, path)


def parse_pipeline(text: str, file: Path) -> Pipeline:
    """The pipeline in `text`, called `file` in an `InvalidPipeline`."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"\(at line (\d+)", str(error))
        raise InvalidPipeline(
            f"{file} is not valid TOML: {error}.", file=file, line=int(line[1]) if line else None
        ) from error
    try:
        return Pipeline.model_validate(_with_tuples(document))
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        found = getattr(fault.get("ctx", {}).get("error"), "keys", ())
        keys = [str(key) for key in (*fault["loc"], *found) if key not in _SOURCE_KINDS]
        line_number = line_of(text, keys)
        words = fault["msg"].removeprefix("Value error, ")
        raise InvalidPipeline(
            f"{file}, line {line_number}: {'.'.join(keys) or 'the file'}: "
            f"{words[0].lower()}{words[1:]}.",
            file=file,
            line=line_number,
        ) from error


_SOURCE_KINDS = frozenset(
    get_args(section.model_fields["kind"].annotation)[0]
    for section in get_args(get_args(Source)[0])
)
_HEADER = re.compile(r"\s*\[\[?\s*(?P<keys>[^\]]+?)\s*\]\]?\s*(#.*)?$")
_ASSIGNMENT = re.compile(r"\s*(?P<keys>[A-Za-z0-9_\-.\"' ]+?)\s*=")
_KEY = re.compile(r"\"([^\"]*)\"|'([^']*)'|([A-Za-z0-9_-]+)")


def line_of(text: str, keys: Sequence[str]) -> int:
    """The line, from 1, on which the longest known beginning of a dotted key is set."""
    best, depth, table = 1, 0, []
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = here = _parts(header["keys"])
        elif assignment := _ASSIGNMENT.match(line):
            here = table + _parts(assignment["keys"])
        else:
            continue
        if len(here) > depth and here == list(keys[: len(here)]):
            best, depth = number, len(here)
    return best


def _parts(keys: str) -> list[str]:
    return [a or b or c for a, b, c in _KEY.findall(keys)]


def _with_tuples(value: Any) -> Any:
    """TOML has arrays, the sections above tuples."""
    if isinstance(value, dict):
        return {key: _with_tuples(item) for key, item in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value
