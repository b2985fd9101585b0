"""Run a pipeline: collect, clean, split, train, evaluate, package; each step once.

What is finished is kept under the hash of its inputs (`modelward.pipeline.steps`), so that an
interrupted run goes on where it was, and a changed rule repeats only what depends on it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eth_utils.crypto import keccak

from modelward.errors import DataNotClean, InvalidInput, InvalidTerms
from modelward.models import estimators
from modelward.models.bundle import Bundle, open_bundle
from modelward.models.manifest import Manifest
from modelward.models.output import Task
from modelward.pipeline.card import (
    CardFacts,
    classification_figures,
    learning_curve_figure,
    model_card,
    regression_figures,
)
from modelward.pipeline.clean import clean
from modelward.pipeline.definition import Pipeline
from modelward.pipeline.evaluate import Evaluation, check_thresholds
from modelward.pipeline.lineage import CARD, Lineage
from modelward.pipeline.measure import by_group, calibration
from modelward.pipeline.package import (
    MeasuredModel,
    PackagedModel,
    checked_bundle,
    measure,
)
from modelward.pipeline.sources import FetchShared, collect
from modelward.pipeline.split import split
from modelward.pipeline.steps import Step, Steps, json_bytes
from modelward.pipeline.tables import filled, read_table, table_bytes
from modelward.pipeline.train import figure_of, train, training_ranges
from modelward.terms import Metric

if TYPE_CHECKING:
    import pandas as pd

SpendEpsilon = Callable[[str, str, float, bytes], None]
"""Records a run on an owner's data key: its epsilon, and the hash that names it."""

STEPS = ("collect", "clean", "split", "train", "evaluate", "package")
"""The steps in their order."""

_CURVE_SIZES = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Finished:
    """A model that is good enough, packaged, and the steps it came from."""

    packaged: PackagedModel
    lineage: Lineage
    steps: Mapping[str, Step]

    @property
    def card(self) -> Path:
        """The model card."""
        return self.steps["evaluate"].directory / "card.html"


def run_pipeline(
    pipeline: Pipeline,
    *,
    base: Path,
    directory: Path,
    frame: pd.DataFrame | None = None,
    fetch: FetchShared | None = None,
    spend: SpendEpsilon | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> Finished:
    """Run every step of `pipeline` that is not finished yet.

    The source's paths are relative to `base`; finished steps are kept below `directory`, which then
    holds data in clear. `spend` records a private run in the ledger before it begins; one that was
    killed has spent. `progress` is told one line at a time.

    Raises:
        InvalidInput: the source cannot be read, or lacks a column.
        DataNotClean: it does not hold to its rules, and they say no remedy.
        ThresholdNotMet: the best estimator is not good enough; its card is there all the same.
        InvalidTerms: a private run is to be recorded, and `spend` is not given.
        UnsupportedEstimator, PredictionMismatch: it cannot be packaged.
        RecordUnavailable: a step cannot be written, or another run is at work there.
    """
    steps = Steps(directory, _libraries())
    with steps.alone():
        return _Run(pipeline, steps, progress, spend).all(base, frame, fetch)


def _libraries() -> dict[str, str]:
    names = ("modelward", "numpy", "pandas", "scipy", "scikit-learn", "skops", "pandera")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


class _Run:
    def __init__(
        self,
        pipeline: Pipeline,
        steps: Steps,
        progress: Callable[[str], None],
        spend: SpendEpsilon | None,
    ) -> None:
        self.pipeline = pipeline
        self.spend = spend
        self.progress = progress
        self._steps = steps

    def step(
        self, name: str, settings: object, before: tuple[Step, ...], make: Callable[[Path], None]
    ) -> Step:
        return self._steps.run(name, settings, before, make, progress=self.progress)

    def settings(self, *sections: str) -> dict[str, Any]:
        return self.pipeline.model_dump(mode="json", include=set(sections))

    def all(self, base: Path, frame: pd.DataFrame | None, fetch: FetchShared | None) -> Finished:
        source = collect(self.pipeline.source, base, frame=frame, fetch=fetch)

        def collecting(out: Path) -> None:
            for note in source.notes:
                self._below(note)
            (out / "table.jsonl").write_bytes(table_bytes(source.table))
            (out / "notes.json").write_bytes(json_bytes(source.notes))

        folds = self.pipeline.train.folds
        settings = {**self.settings("source"), "hash": source.source_hash.hex()}
        collected = self.step("collect", settings, (), collecting)
        cleaned = self.step(
            "clean",
            {**self.settings("columns", "target", "clean"), "folds": folds},
            (collected,),
            lambda out: self.clean(read_table(collected.read("table.jsonl")), out),
        )
        table = read_table(cleaned.read("table.jsonl"))
        parts = self.step(
            "split",
            {**self.settings("columns", "target", "clean", "split"), "folds": folds},
            (cleaned,),
            lambda out: self.split(table, out),
        )
        data = _Data.of(self.pipeline, table, parts.json("split.json"))
        trained = self.step(
            "train",
            self.settings("columns", "target", "train", "thresholds"),
            (cleaned, parts),
            lambda out: self.train(data, out),
        )
        evaluated = self.step(
            "evaluate",
            self.settings("name", "columns", "target", "evaluate", "thresholds"),
            (collected, cleaned, parts, trained),
            lambda out: self.evaluate(data, trained, collected, cleaned, out),
        )
        measured = _metrics(evaluated.json("evaluation.json")["metrics"])
        check_thresholds(measured, self.pipeline.gate)
        lineage_of = {
            "source": source.source_hash,
            "cleaned": cleaned.content,
            "split": parts.content,
            "training": trained.content,
            "card": keccak(evaluated.read("card.html")),
        }
        packaged = self.step(
            "package",
            self.settings("name", "thresholds"),
            (trained, evaluated),
            lambda out: self.package(data, trained, evaluated, Lineage.of(lineage_of), out),
        )
        steps = (collected, cleaned, parts, trained, evaluated, packaged)
        return Finished(
            _packaged(packaged, evaluated, self.pipeline),
            _lineage(packaged.json("lineage.json")),
            {step.name: step for step in steps},
        )

    # --- steps -----------------------------------------------------------------------------------

    def clean(self, table: pd.DataFrame, out: Path) -> None:
        cleaned = clean(table, self.pipeline)
        for change in cleaned.changes:
            self.progress(f"  {change}")
        (out / "table.jsonl").write_bytes(table_bytes(cleaned.table))
        report = {
            "rounds": cleaned.rounds,
            "collected": cleaned.collected_rows,
            "changes": [asdict(change) for change in cleaned.changes],
            "words": [str(change) for change in cleaned.changes],
            "words_without_cells": [change.without_cells() for change in cleaned.changes],
        }
        (out / "report.json").write_bytes(json_bytes(report))

    def split(self, table: pd.DataFrame, out: Path) -> None:
        parts = split(table, self.pipeline)
        for name in parts.constant:
            self.progress(f"  {name} is constant: left out")
        (out / "split.json").write_bytes(json_bytes(asdict(parts)))

    def train(self, data: _Data, out: Path) -> None:
        privacy = self.pipeline.train.privacy
        if privacy is not None and privacy.owner is not None and privacy.key is not None:
            if self.spend is None:
                raise InvalidTerms(
                    "The run goes on record in the privacy ledger: name a network and an account."
                )
            self.spend(privacy.owner, privacy.key, privacy.epsilon, self.run_id())
            self._below(f"recorded epsilon {privacy.epsilon:g} on {privacy.owner}'s {privacy.key}")
        trained = train(data.training, self.pipeline, data.features, self._below)
        (out / "estimator.skops").write_bytes(estimators.dump_estimator(trained.estimator))
        report = {
            "chosen": asdict(trained.chosen),
            "attempts": [asdict(attempt) for attempt in trained.attempts],
            "searched": trained.searched,
            "libraries": _libraries(),
            "seed": self.pipeline.train.seed if privacy is None else None,
        }
        (out / "report.json").write_bytes(json_bytes(report))

    def evaluate(
        self, data: _Data, trained: Step, collected: Step, cleaned: Step, out: Path
    ) -> None:
        pipeline = self.pipeline
        model = self.measured(data, trained)
        schema, output, labels = model.manifest.input, model.manifest.output, data.held_out_labels
        groups = {
            column: data.held_out[pipeline.columns[column].rename or column].tolist()
            for column in pipeline.evaluate.groups
        }
        parts = by_group(model.answering, schema, output, model.rows, labels, groups)
        inputs = schema.to_frame(model.rows)
        predicted = model.answering.predict(inputs).tolist()
        found = None
        if output.task == "regression":
            figures = regression_figures(predicted, labels)
        else:
            probabilities = None
            if output.scores == "probability":
                probabilities = model.answering.predict_proba(inputs)
                found = calibration(probabilities, output.classes, labels)
            figures = classification_figures(
                predicted, probabilities, labels, output.classes, found
            )
        if pipeline.train.privacy is None:
            figures.append(self.learning_curve(model.estimator, data))
        report, cleaning = trained.json("report.json"), cleaned.json("report.json")
        facts = CardFacts(
            name=pipeline.name,
            task=pipeline.target.task,
            estimator=report["chosen"]["estimator"],
            source=_source_in_words(pipeline),
            rows_collected=cleaning["collected"],
            rows_training=len(data.training),
            rows_held_out=model.evaluation.rows,
            features=data.features,
            changes=cleaning["words_without_cells"],
            attempts=_attempt_table(pipeline.target.task, report["attempts"]),
            exact=model.without_program,
            privacy=_privacy_in_words(pipeline),
            evaluation=model.evaluation,
            groups=parts,
            calibration=found,
            notes=collected.json("notes.json"),
        )
        (out / "card.html").write_bytes(model_card(facts, figures))
        written = {
            **_hexed(asdict(model.evaluation)),
            "groups": [asdict(group) for group in parts],
            "calibration": None if found is None else asdict(found),
            "without_program": model.without_program,
        }
        (out / "evaluation.json").write_bytes(json_bytes(written))
        (out / "manifest.json").write_bytes(model.manifest.to_bytes())
        (out / "program.bin").write_bytes(model.program or b"")

    def run_id(self) -> bytes:
        """What names this run in the ledger: the hash of its whole definition."""
        return keccak(json_bytes(self.pipeline.model_dump(mode="json")))

    def learning_curve(self, estimator: Any, data: _Data) -> tuple[str, bytes]:
        from sklearn.base import clone
        from sklearn.model_selection import learning_curve

        from modelward.pipeline.candidates import SCORING

        sizes, _, scores = learning_curve(
            clone(estimator),
            data.training[list(data.features)],
            data.training[self.pipeline.target.column],
            train_sizes=_CURVE_SIZES,
            cv=3,
            scoring=SCORING[self.pipeline.metric],
            shuffle=True,
            random_state=self.pipeline.train.seed,
        )
        return learning_curve_figure(sizes.tolist(), scores, self.pipeline.metric)

    def measured(self, data: _Data, trained: Step) -> MeasuredModel:
        try:
            return measure(
                _estimator(trained),
                data.held_out_inputs,
                data.held_out_labels,
                name=self.pipeline.name,
                ranges=training_ranges(self.pipeline, data.training[list(data.features)]),
            )
        except InvalidInput as error:
            raise DataNotClean(f"A held-out row cannot be used. {error.message}", {}) from error

    def package(
        self, data: _Data, trained: Step, evaluated: Step, lineage: Lineage, out: Path
    ) -> None:
        measured = Manifest.from_bytes(evaluated.read("manifest.json"))
        rows = measured.input.rows(data.held_out_inputs.itertuples(index=False, name=None))
        bundle = checked_bundle(
            _estimator(trained),
            replace(measured, lineage={**lineage.links(), CARD: lineage.contents["card"]}),
            evaluated.read("program.bin") or None,
            rows,
        )
        (out / "bundle.zip").write_bytes(bundle.data)
        kept = {"contents": _hexed(lineage.contents), "salts": _hexed(lineage.salts)}
        (out / "lineage.json").write_bytes(json_bytes(kept))

    def _below(self, words: str) -> None:
        self.progress(f"  {words}")


# --- data of the later steps ---------------------------------------------------------------------


@dataclass(frozen=True)
class _Data:
    """The two parts of the clean table; what is missing among the held-out inputs is filled with
    what the training rows have: the median, or the most frequent value.
    """

    features: tuple[str, ...]
    training: pd.DataFrame
    held_out: pd.DataFrame
    held_out_inputs: pd.DataFrame
    held_out_labels: list[Any]

    @classmethod
    def of(cls, pipeline: Pipeline, table: pd.DataFrame, parts: Mapping[str, Any]) -> _Data:
        features = tuple(name for name in pipeline.features if name not in parts["constant"])
        training, held_out = table.loc[parts["training"]], table.loc[parts["held_out"]]
        inputs = held_out[list(features)]
        return cls(
            features,
            training,
            held_out,
            filled(inputs, training),
            held_out[pipeline.target.column].tolist(),
        )


def _estimator(trained: Step) -> Any:
    return estimators.load_estimator(trained.read("estimator.skops"))


# --- what steps keep -----------------------------------------------------------------------------


def _packaged(packaged: Step, evaluated: Step, pipeline: Pipeline) -> PackagedModel:
    data = packaged.read("bundle.zip")
    opened = open_bundle(data, keccak(data))
    record = evaluated.json("evaluation.json")
    manifest_bytes = opened.manifest.to_bytes()
    return PackagedModel(
        name=pipeline.name,
        manifest=opened.manifest,
        bundle=Bundle(data, opened.hash, manifest_bytes, keccak(manifest_bytes)),
        evaluation=Evaluation(
            rows=record["rows"],
            metrics=_metrics(record["metrics"]),
            baseline=_metrics(record["baseline"]),
            data_hash=bytes.fromhex(record["data_hash"]),
            salt=bytes.fromhex(record["salt"]),
            plain_hash=bytes.fromhex(record["plain_hash"]),
        ),
        thresholds=pipeline.gate,
        program=evaluated.read("program.bin") or None,
        without_program=record["without_program"],
    )


def _lineage(record: Mapping[str, Mapping[str, str]]) -> Lineage:
    contents, salts = (
        {name: bytes.fromhex(digest) for name, digest in record[part].items()}
        for part in ("contents", "salts")
    )
    return Lineage(contents, salts)


def _metrics(records: list[dict[str, Any]]) -> tuple[Metric, ...]:
    return tuple(Metric(**record) for record in records)


def _hexed(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, Mapping):
        return {key: _hexed(item) for key, item in value.items()}
    return [_hexed(item) for item in value] if isinstance(value, list | tuple) else value


# --- words ---------------------------------------------------------------------------------------


def _source_in_words(pipeline: Pipeline) -> str:
    stated = pipeline.source.model_dump()
    kind = stated.pop("kind")
    named = [str(stated[key]) for key in ("path", "dataset", "owner", "key") if key in stated]
    return f"{' '.join(named) or 'a table in memory'} ({kind})"


def _privacy_in_words(pipeline: Pipeline) -> str:
    privacy = pipeline.train.privacy
    if privacy is None:
        return ""
    ledger = f", recorded against {privacy.owner}'s {privacy.key}" if privacy.owner else ""
    return (
        f"Training was differentially private in the training rows, epsilon {privacy.epsilon:g}"
        f"{ledger}. The metrics below are not private in the held-out rows."
    )


def _attempt_table(task: Task, attempts: list[dict[str, Any]]) -> list[list[str]]:
    names = list(attempts[0]["scores"])
    return [
        ["estimator", *names, "exact program"],
        *(
            [
                attempt["estimator"],
                *(
                    f"{figure_of(task, name, mean):.4f} ± {error:.4f}"
                    for name, (mean, error) in attempt["scores"].items()
                ),
                "no" if attempt["exact"] else "yes",
            ]
            for attempt in attempts
        ),
    ]
