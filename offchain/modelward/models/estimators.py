"""scikit-learn estimators: which kinds are supported, and how they are written and read safely.

Estimators are stored with skops, which rebuilds objects from a declared list of types instead of
running code. Types beyond those skops trusts itself are taken from `ALLOWED_TYPES` alone, never
from the list a file declares.
"""

from __future__ import annotations

import io
import json
import platform
import zipfile
import zlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

from modelward.errors import InvalidBundle, UnfittedEstimator, UnsupportedEstimator
from modelward.json_nesting import depth
from modelward.models.allowed_types import ALLOWED_TYPES
from modelward.models.output import (
    CLASSIFICATION_DECIMALS,
    MAX_DECIMALS,
    Label,
    OutputSpec,
    Scores,
    Task,
    output_bytes,
)
from modelward.terms import MAX_OUTPUT_BYTES

MAX_ESTIMATOR_BYTES = 512 * 2**20
MAX_EXPANSION = 100
MAX_ESTIMATOR_FILES = 200_000
MAX_SCHEMA_DEPTH = 200


def task_of(estimator: Any) -> Task:
    """Whether a fitted `estimator` classifies or regresses.

    Raises `UnsupportedEstimator` for any other kind of object, `UnfittedEstimator` before `fit`.
    """
    from sklearn.base import BaseEstimator, is_classifier, is_regressor
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    kind = type(estimator).__name__
    if isinstance(estimator, type) or not isinstance(estimator, BaseEstimator):
        name = estimator.__name__ if isinstance(estimator, type) else kind
        raise UnsupportedEstimator(f"{name} is not a fitted scikit-learn estimator.")
    try:
        task: Task | None = (
            "classification"
            if is_classifier(estimator)
            else "regression"
            if is_regressor(estimator)
            else None
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise UnsupportedEstimator(f"{kind} does not say what it estimates: {error}") from error
    if task is None:
        raise UnsupportedEstimator(f"{kind} is neither a classifier nor a regressor.")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise UnfittedEstimator(
            f"This {kind} has not been fitted.", hint="Call its `fit` before publishing it."
        ) from error
    return task


def served(estimator: Any) -> Any:
    """The part of a fitted `estimator` that predicts.

    That is the estimator itself, except for a hyper-parameter search: its best estimator predicts,
    and what else was tried has no place in a bundle.
    """
    from sklearn.model_selection._search import BaseSearchCV

    while isinstance(estimator, BaseSearchCV) and hasattr(estimator, "best_estimator_"):
        estimator = estimator.best_estimator_
    return estimator


def infer_output(estimator: Any, inputs: Any) -> OutputSpec:
    """The output specification of a fitted `estimator`.

    `inputs` are rows as the estimator takes them; a regression's scale is chosen so that a typical
    prediction on them keeps nine significant digits. A classifier with so many classes that their
    scores would not fit an answer on chain gives labels only. Raises as `task_of` does, and
    `UnsupportedEstimator` for several outputs and for labels a manifest cannot hold.
    """
    import numpy as np

    task = task_of(estimator)
    kind = type(estimator).__name__
    try:
        predicted = estimator.predict(inputs)
    except Exception as error:
        raise UnsupportedEstimator(
            f"{kind} cannot predict from these inputs: {error!s:.200}"
        ) from error
    if hasattr(predicted, "toarray"):
        raise UnsupportedEstimator(f"{kind} predicts sparse label sets (multilabel).")
    if isinstance(predicted, list) or (predicted.ndim > 1 and predicted.shape[1] > 1):
        raise UnsupportedEstimator(f"{kind} predicts several outputs a row; one is supported.")
    if task == "regression":
        return OutputSpec("regression", (), "value", _regression_decimals(np.ravel(predicted)))
    if predicted.ndim > 1:
        raise UnsupportedEstimator(f"{kind} predicts label sets (multilabel).")
    classes = getattr(estimator, "classes_", None)
    if classes is None or isinstance(classes, list):
        raise UnsupportedEstimator(f"{kind} does not tell its classes.")
    return OutputSpec(
        task="classification",
        classes=tuple(_label(label, kind) for label in classes),
        scores=_kind_of_scores(estimator, inputs, len(classes)),
        decimals=CLASSIFICATION_DECIMALS,
    )


def _label(label: Any, kind: str) -> Label:
    plain = label.item() if hasattr(label, "item") else label
    if not isinstance(plain, str | int | float):
        raise UnsupportedEstimator(
            f"{kind} has a class of the type {type(plain).__name__}; a class is text, a number or"
            " a boolean."
        )
    return plain


def _kind_of_scores(estimator: Any, inputs: Any, classes: int) -> Scores:
    if output_bytes(classes) + 1 > MAX_OUTPUT_BYTES:
        return "none"
    if hasattr(estimator, "predict_proba"):
        return "probability"
    if hasattr(estimator, "decision_function"):
        shape = estimator.decision_function(inputs[:1]).shape
        if shape in ((1,), (1, 1)) and classes == 2:
            return "decision"
        if classes > 2 and shape == (1, classes):
            return "decision"
    return "none"


def _regression_decimals(predicted: Any) -> int:
    import numpy as np

    sizes = np.abs(predicted[np.isfinite(predicted) & (predicted != 0)])
    magnitude = int(np.floor(np.log10(np.median(sizes)))) if sizes.size else 0
    return min(MAX_DECIMALS, max(6, 8 - magnitude))


def describe(estimator: Any) -> str:
    """The classes an estimator is made of, such as `Pipeline(StandardScaler, Ridge)`."""
    from sklearn.base import BaseEstimator

    described = f"{type(estimator).__module__.partition('.')[0]}.{type(estimator).__name__}"
    parts = [
        part
        for value in estimator.get_params(deep=False).values()
        for part in _parts(value)
        if isinstance(part, BaseEstimator)
    ]
    if not parts:
        return described
    inner = ", ".join(describe(part).partition(".")[2] for part in parts)
    return f"{described}({inner})"[:4096]


def _parts(value: Any) -> list[Any]:
    if isinstance(value, list | tuple):
        return [part for item in value for part in _parts(item)]
    return [value]


def library_versions() -> dict[str, str]:
    """The versions a manifest pins, by library."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn", "skops")},
    }


# --- skops ---------------------------------------------------------------------------------------


def dump_estimator(estimator: Any) -> bytes:
    """The skops bytes of `estimator`; two dumps of one estimator differ.

    Raises `UnsupportedEstimator` naming the types that `load_estimator` would not accept.
    """
    import skops.io

    kind = type(estimator).__name__
    try:
        data: bytes = skops.io.dumps(estimator)
        untrusted = set(skops.io.get_untrusted_types(data=data))
    except Exception as error:
        raise UnsupportedEstimator(f"{kind} cannot be stored with skops: {error}") from error
    if foreign := sorted(untrusted - ALLOWED_TYPES):
        raise UnsupportedEstimator(
            f"{kind} holds types that may not go into a bundle: {', '.join(foreign[:5])}.",
            hint="Only scikit-learn's own classes can be published.",
        )
    if len(data) > MAX_ESTIMATOR_BYTES:
        raise UnsupportedEstimator(
            f"{kind} takes {len(data)} bytes, more than the {MAX_ESTIMATOR_BYTES} allowed."
        )
    return data


def load_estimator(data: bytes, *, what: str = "The estimator") -> Any:
    """The fitted estimator in skops bytes; no code of theirs is run.

    Raises `InvalidBundle` when they are not skops, expand beyond all measure, or hold a type
    outside `ALLOWED_TYPES`.
    """
    import skops.io

    _check_archive(data, what)
    try:
        untrusted = set(skops.io.get_untrusted_types(data=data))
    except Exception as error:
        raise InvalidBundle(f"{what} is not a readable skops file: {error!r:.200}.") from error
    if foreign := sorted(untrusted - ALLOWED_TYPES):
        raise InvalidBundle(f"{what} holds forbidden types: {', '.join(foreign[:5])}.")
    try:
        return skops.io.loads(data, trusted=sorted(ALLOWED_TYPES))
    except Exception as error:
        raise InvalidBundle(f"{what} cannot be rebuilt: {error!r:.200}.") from error


def read_estimator(path: str | Path) -> Any:
    """The fitted estimator in a `.skops` file; `InvalidBundle` if it is none."""
    path = Path(path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_ESTIMATOR_BYTES + 1)
    except OSError as error:
        raise InvalidBundle(f"{path} cannot be read: {error.strerror}.") from error
    if not data.startswith(b"PK"):
        raise InvalidBundle(
            f"{path} is not a skops file.",
            hint="Write it with `skops.io.dump`; pickle and joblib files are never read.",
        )
    return load_estimator(data, what=str(path))


def _check_archive(data: bytes, what: str) -> None:
    """Bound what reading may allocate and how deep it may recurse, before skops reads."""
    if len(data) > MAX_ESTIMATOR_BYTES:
        raise InvalidBundle(f"{what} is larger than the {MAX_ESTIMATOR_BYTES} bytes allowed.")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_expansion(archive, min(MAX_ESTIMATOR_BYTES, MAX_EXPANSION * len(data)), what)
            _check_depth(archive.read("schema.json").decode("utf-8"), what)
    except KeyError as error:
        raise InvalidBundle(f"{what} is not a skops file: it has no schema.") from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        ValueError,
        EOFError,
        OSError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise InvalidBundle(f"{what} is not a readable skops file: {error}.") from error


def _check_expansion(archive: zipfile.ZipFile, allowed: int, what: str) -> None:
    """An entry never yields more than its declared size; a sparse matrix is an archive itself."""
    entries = archive.infolist()
    expanded = sum(entry.file_size for entry in entries)
    if len(entries) > MAX_ESTIMATOR_FILES or expanded > allowed:
        raise InvalidBundle(f"{what} expands to more than a bundle may.")
    for entry in entries:
        with archive.open(entry) as member:
            nested = member.read(2) == b"PK"
        if nested:
            with zipfile.ZipFile(io.BytesIO(archive.read(entry))) as inner:
                expanded += sum(inside.file_size for inside in inner.infolist())
            if expanded > allowed:
                raise InvalidBundle(f"{what} expands to more than a bundle may.")


def _check_depth(schema: str, what: str) -> None:
    """Neither the schema nor JSON in its strings, which skops parses too, may be nested deeply."""
    deepest = depth(schema)
    pending = [json.loads(schema)] if deepest <= MAX_SCHEMA_DEPTH else []
    while pending and deepest <= MAX_SCHEMA_DEPTH:
        match pending.pop():
            case dict() as fields:
                pending.extend(fields.values())
            case list() as items:
                pending.extend(items)
            case str() as text:
                deepest = max(deepest, depth(text))
    if deepest > MAX_SCHEMA_DEPTH:
        raise InvalidBundle(f"{what} is nested too deeply.")
