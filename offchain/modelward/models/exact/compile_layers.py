"""Compile linear models and multi-layer perceptrons to layers of integers.

Every value is a whole number of some power of two (or of the score's decimals), the finest for
which the interval of values that the declared ranges allow still fits its place. The same intervals
bound how far a score can be from the estimator's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from modelward.errors import NoExactProgram
from modelward.models.exact.fold import Folded, affine_over_range
from modelward.models.exact.program import (
    LARGEST_ACCUMULATOR,
    LARGEST_ACTIVATION,
    LARGEST_UNIT,
    MAX_LAYERS,
    MAX_SHIFT,
    Activation,
    Encoding,
    Layer,
    LayerProgram,
)
from modelward.models.exact.reference import ACTIVATION_ERROR
from modelward.models.exact.scores import LOG2_E, Finish
from modelward.models.schema import InputSchema

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_ACTIVATIONS = {
    "identity": Activation.IDENTITY,
    "relu": Activation.RELU,
    "logistic": Activation.LOGISTIC,
    "tanh": Activation.TANH,
}
_STEEPNESS = {Activation.LOGISTIC: 0.25}
_SQUASHED_ONE = 2.0**30


@dataclass(frozen=True)
class Affine:
    """A layer of real numbers: `weights` of shape (inputs, neurons), and what follows."""

    weights: npt.NDArray[np.float64]
    biases: npt.NDArray[np.float64]
    activation: Activation = Activation.IDENTITY


@dataclass(frozen=True)
class CompiledLayers:
    """A program, and how far its scaled outputs can be from the estimator's: in their own units."""

    program: LayerProgram
    error: float


def linear_layers(estimator: Any) -> list[Affine]:
    """The one layer of a fitted linear model."""
    import numpy as np

    coefficients = np.atleast_2d(np.asarray(estimator.coef_, dtype=np.float64))
    intercepts = np.ravel(np.asarray(estimator.intercept_, dtype=np.float64))
    biases = np.broadcast_to(intercepts, len(coefficients)).copy()
    return [Affine(coefficients.T.copy(), biases)]


def perceptron_layers(estimator: Any) -> list[Affine]:
    """The layers of a fitted MLPClassifier or MLPRegressor, its output activation left out."""
    import numpy as np

    hidden = [_ACTIVATIONS[estimator.activation]] * (len(estimator.coefs_) - 1)
    return [
        Affine(np.asarray(weights, np.float64), np.asarray(biases, np.float64), activation)
        for weights, biases, activation in zip(
            estimator.coefs_, estimator.intercepts_, [*hidden, Activation.IDENTITY], strict=True
        )
    ]


def compile_layers(
    layers: Sequence[Affine],
    folded: Folded,
    schema: InputSchema,
    finish: Finish,
    *,
    weight_bytes: int = 4,
) -> CompiledLayers:
    """The program of `layers` on the folded features; `NoExactProgram` if a value cannot fit."""
    import numpy as np

    if len(layers) > MAX_LAYERS:
        raise NoExactProgram(f"It has {len(layers)} layers, more than the {MAX_LAYERS} supported.")
    if not all(
        np.isfinite(layer.weights).all() and np.isfinite(layer.biases).all() for layer in layers
    ):
        raise NoExactProgram("It has a weight that is not finite.")
    first = _on_units(layers[0], folded, schema)
    compiled: list[Layer] = []
    incoming = _Incoming(scale=1.0, largest=LARGEST_UNIT, error=0.5)
    for number, layer in enumerate([first, *layers[1:]]):
        is_last = number == len(layers) - 1
        fixed = finish.scale if is_last else _fixed_scale(layer.activation)
        done, incoming = _compile_layer(layer, incoming, fixed, weight_bytes, is_last)
        compiled.append(done)
    program = LayerProgram(
        encoding=Encoding.UNITS,
        decision=finish.decision,
        scores=finish.scores,
        decimals=finish.decimals,
        features=len(schema.columns),
        outputs=len(compiled[-1].biases),
        layers=tuple(compiled),
    )
    return CompiledLayers(program, incoming.error)


@dataclass(frozen=True)
class _Incoming:
    """The values a layer is given: at most `largest`, `scale` being one, wrong by up to `error`."""

    scale: float
    largest: int
    error: float


def _on_units(layer: Affine, folded: Folded, schema: InputSchema) -> Affine:
    """The first layer as a function of the columns' units instead of the features."""
    import numpy as np

    weights = np.zeros((len(schema.columns), layer.weights.shape[1]))
    parts: list[npt.NDArray[np.float64]] = [layer.biases]
    for feature, row in zip(folded.features, layer.weights, strict=True):
        start, gain = affine_over_range(feature, schema)
        parts.append(start * row)
        if feature.column is not None:
            weights[feature.column] += row * (gain / LARGEST_UNIT)
    biases = np.asarray([math.fsum(column) for column in np.stack(parts, axis=1)])
    return Affine(weights, biases, layer.activation)


def _fixed_scale(activation: Activation) -> float | None:
    """What 1 has to be before an activation, where it matters."""
    if activation is Activation.LOGISTIC:
        return LOG2_E * 2**30
    if activation is Activation.TANH:
        return 2 * LOG2_E * 2**30
    return None


def _compile_layer(
    layer: Affine, incoming: _Incoming, fixed: float | None, weight_bytes: int, is_last: bool
) -> tuple[Layer, _Incoming]:
    import numpy as np

    per_input = layer.weights / incoming.scale
    reach = float((np.abs(per_input).sum(axis=0) * incoming.largest + np.abs(layer.biases)).max())
    most = LARGEST_ACCUMULATOR if fixed else LARGEST_ACTIVATION
    scale = fixed or 2.0 ** math.floor(math.log2(most / (reach or 1.0)))
    done = _rounded(per_input, layer, scale, weight_bytes)
    if done.bound(incoming.largest) > most and not fixed:
        scale /= 2  # the roundings took it over the edge
        done = _rounded(per_input, layer, scale, weight_bytes)
    if done.bound(incoming.largest) > most:
        raise NoExactProgram(
            f"Its {'scores' if is_last else 'activations'} could leave 64 bits for inputs within"
            " the declared ranges.",
            hint="Declare narrower ranges.",
        )
    shift = done.shift
    # Roundings: of each weight, of the bias, of the result; and what was wrong before.
    count = len(per_input)
    error = (
        0.5
        + (0.5 * count * incoming.largest + 0.5) / 2.0**shift
        + float(np.abs(per_input).sum(axis=0).max()) * scale * incoming.error
    )
    if layer.activation > Activation.RELU:
        squashed = error / scale * _STEEPNESS.get(layer.activation, 1.0) + ACTIVATION_ERROR
        return done, _Incoming(_SQUASHED_ONE, 1 << 30, squashed * _SQUASHED_ONE)
    return done, _Incoming(scale, done.bound(incoming.largest), error)


def _rounded(
    per_input: npt.NDArray[np.float64], layer: Affine, scale: float, weight_bytes: int
) -> Layer:
    import numpy as np

    largest_weight, largest_bias = float(np.abs(per_input).max()), float(np.abs(layer.biases).max())
    shift = _shift(largest_weight * scale, 8 * weight_bytes, largest_bias * scale)
    factor = scale * 2.0**shift
    return Layer(
        weights=tuple(
            tuple(int(weight) for weight in neuron) for neuron in np.rint(per_input.T * factor)
        ),
        biases=tuple(round(Fraction(float(bias)) * Fraction(factor)) for bias in layer.biases),
        shift=shift,
        activation=layer.activation,
        weight_bytes=weight_bytes,
    )


def _shift(largest_weight: float, bits: int, largest_bias: float) -> int:
    """The most bits that weights and biases can have below the point."""
    shift = MAX_SHIFT
    if largest_weight:
        shift = min(shift, math.floor(math.log2((2 ** (bits - 1) - 1) / largest_weight)))
    if largest_bias:
        shift = min(shift, math.floor(math.log2(2**78 / largest_bias)))
    if shift < 0:
        raise NoExactProgram("It has weights too large for the declared ranges.")
    return shift
