"""The model card: one HTML page, its figures in it as PNG, for people to read.

It is public, like the manifest that has its hash: it shows figures about many rows, never a cell of
one. All but those about the selection are of what will answer: the exact program, where there is
one.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelward.pipeline.evaluate import Evaluation, shown
from modelward.pipeline.measure import Calibration, Group

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from matplotlib.figure import Figure

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #d0d7de; text-align: left }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums }
figure { display: inline-block; margin: 0 1rem 1rem 0; vertical-align: top }
figcaption { font-size: .875rem; max-width: 26rem }
"""


@dataclass(frozen=True)
class CardFacts:
    """What a card says, apart from its figures; texts may hold anything."""

    name: str
    task: str
    estimator: str
    source: str
    rows_collected: int
    rows_training: int
    rows_held_out: int
    features: Sequence[str]
    changes: Sequence[str]
    attempts: Sequence[Sequence[str]]
    exact: str
    privacy: str
    evaluation: Evaluation
    groups: Sequence[Group]
    calibration: Calibration | None
    notes: Sequence[str] = ()


def model_card(facts: CardFacts, figures: Sequence[tuple[str, bytes]]) -> bytes:
    """The page, in UTF-8; `figures` are captions with the bytes of PNG images."""
    baseline = {metric.name: shown(metric) for metric in facts.evaluation.baseline}
    body = [
        f"<h1>{_text(facts.name)}</h1>",
        f"<p>{_text(facts.estimator)}, a {_text(facts.task)}. {_exactness(facts.exact)}</p>",
        *([f"<p>{_text(facts.privacy)}</p>"] if facts.privacy else []),
        "<h2>Metrics</h2>",
        f"<p>Measured once, on {facts.rows_held_out} rows that neither training nor selection nor"
        " scaling has seen, beside a constant guess that knows their labels.</p>",
        _table(
            ("metric", "this model", "constant guess"),
            [(m.name, shown(m), baseline.get(m.name, "")) for m in facts.evaluation.metrics],
        ),
        *_group_section(facts.groups),
        *_calibration_section(facts.calibration),
        *(_figure(caption, image) for caption, image in figures),
        "<h2>Data</h2>",
        f"<p>{_text(facts.source)}: {facts.rows_collected} rows collected,"
        f" {facts.rows_training + facts.rows_held_out} after cleaning,"
        f" {facts.rows_training} of them to train on.</p>",
        _cleaning_section(facts),
        f"<p>{len(facts.features)} inputs: {_text(', '.join(facts.features))}.</p>",
        "<h2>Selection</h2>",
        "<p>Mean and standard error of the estimators in cross-validation among the training rows."
        "</p>",
        _table(facts.attempts[0], facts.attempts[1:]),
    ]
    page = (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width">\n'
        f"<title>{_text(facts.name)}</title>\n<style>{_STYLE}</style>\n"
        + "\n".join(body)
        + "\n</html>\n"
    )
    return page.encode("utf-8")


def _text(value: object) -> str:
    return html.escape(str(value))


def _exactness(reason: str) -> str:
    if not reason:
        return "It has an exact integer program: its predictions are the same on every machine."
    return f"It has no exact program: {_text(reason)}"


def _cleaning_section(facts: CardFacts) -> str:
    if facts.privacy:
        return "<p>What cleaning did is not told: it would tell of single training rows.</p>"
    return _list((*facts.notes, *facts.changes)) or "<p>Nothing had to be cleaned.</p>"


def _group_section(groups: Sequence[Group]) -> Iterable[str]:
    if not groups:
        return
    names = list(dict.fromkeys(metric.name for group in groups for metric in group.metrics))
    rows = []
    for group in groups:
        values = {metric.name: shown(metric) for metric in group.metrics}
        rows.append(
            (f"{group.column} = {group.value}", group.rows, *(values.get(n, "") for n in names))
        )
    yield "<h2>By group</h2>"
    yield _table(("group", "rows", *names), rows)


def _calibration_section(found: Calibration | None) -> Iterable[str]:
    if found is not None:
        yield "<h2>Calibration</h2>"
        yield _table(
            ("measure", "value"),
            [
                ("expected calibration error", f"{found.error:.4f}"),
                ("Brier score", f"{found.brier:.4f}"),
            ],
        )


def _table(head: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    def line(tag: str, cells: Sequence[object]) -> str:
        first, *others = cells
        marked = "".join(f'<{tag} class="number">{_text(cell)}</{tag}>' for cell in others)
        return f"<tr><{tag}>{_text(first)}</{tag}>{marked}</tr>"

    return f"<table>{line('th', head)}{''.join(line('td', row) for row in rows)}</table>"


def _list(items: Sequence[str]) -> str:
    return f"<ul>{''.join(f'<li>{_text(item)}</li>' for item in items)}</ul>" if items else ""


def _figure(caption: str, image: bytes) -> str:
    data = base64.b64encode(image).decode("ascii")
    return (
        f'<figure><img width="416" alt="{_text(caption)}" src="data:image/png;base64,{data}">'
        f"<figcaption>{_text(caption)}</figcaption></figure>"
    )


# --- figures -------------------------------------------------------------------------------------


def classification_figures(
    predicted: Sequence[Any],
    probabilities: npt.NDArray[np.float64] | None,
    labels: Sequence[Any],
    classes: Sequence[Any],
    found: Calibration | None,
) -> list[tuple[str, bytes]]:
    """Confusion matrix, ROC curves and calibration of what answers, on the held-out rows.

    `probabilities` have one row each, and one column each of `classes`.
    """
    from sklearn.metrics import ConfusionMatrixDisplay, RocCurveDisplay

    figures = []
    figure, axes = _axes()
    ConfusionMatrixDisplay.from_predictions(
        labels, predicted, labels=list(classes), ax=axes, colorbar=False,
        cmap="Blues", xticks_rotation="vertical" if len(classes) > 4 else "horizontal",
    )  # fmt: skip
    figures.append(("Confusion matrix: how often each class was taken for which", _png(figure)))
    if probabilities is not None:
        figure, axes = _axes()
        shown_classes = list(enumerate(classes))[1 if len(classes) == 2 else 0 :]
        for index, name in shown_classes:
            RocCurveDisplay.from_predictions(
                [label == name for label in labels], probabilities[:, index], ax=axes,
                name=str(name),
            )  # fmt: skip
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
        figures.append(("ROC: share found against share of false alarms", _png(figure)))
    if found is not None:
        figure, axes = _axes()
        axes.plot([0, 1], [0, 1], color="0.7", linestyle=":")
        axes.plot([b[0] for b in found.bins], [b[1] for b in found.bins], marker="o")
        axes.set(xlabel="mean probability", ylabel="share right", xlim=(0, 1), ylim=(0, 1.02))
        figures.append(("Calibration: how often the likeliest class was right", _png(figure)))
    return figures


def regression_figures(
    predicted: Sequence[float], labels: Sequence[float]
) -> list[tuple[str, bytes]]:
    """How true predictions are, and residuals; no point in them is a row."""
    import numpy as np

    truth, values = np.asarray(labels, dtype=float), np.asarray(predicted, dtype=float)
    figure, axes = _axes()
    parts = np.array_split(np.argsort(values, kind="stable"), max(1, min(10, len(values) // 5)))
    means = np.array([(values[part].mean(), truth[part].mean()) for part in parts])
    ends = means.min(), means.max()
    axes.plot(ends, ends, color="0.7", linestyle=":")
    axes.plot(means[:, 0], means[:, 1], marker="o")
    axes.set(xlabel="mean prediction", ylabel="mean true value")
    caption = f"Predictions against the truth, in {len(parts)} equal parts of the held-out rows"
    figures = [(caption, _png(figure))]
    figure, axes = _axes()
    axes.hist(truth - values, bins=30)
    axes.set(xlabel="true minus predicted", ylabel="rows")
    figures.append(("Residuals", _png(figure)))
    return figures


def learning_curve_figure(sizes: Sequence[int], scores: Any, metric: str) -> tuple[str, bytes]:
    """Cross-validated scores (one row of folds a size) against the number of training rows.

    They are those of estimators fitted to parts of these rows, as in the selection.
    """
    figure, axes = _axes()
    axes.errorbar(sizes, scores.mean(axis=1), yerr=scores.std(axis=1), marker="o", capsize=3)
    axes.set(xlabel="training rows", ylabel=metric)
    return "Learning curve, in cross-validation: would more rows help?", _png(figure)


def _axes() -> tuple[Figure, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4), dpi=120, layout="tight")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
