"""How the outputs of a program become the label and the scores its manifest announces."""

from __future__ import annotations

import math
from dataclasses import dataclass

from modelward.errors import NoExactProgram
from modelward.models.exact.program import MAX_PROBABILITY_DECIMALS, Decision, Scores
from modelward.models.exact.reference import POWER_ERROR
from modelward.models.output import OutputSpec

LOG2_E = math.log2(math.e)


@dataclass(frozen=True)
class Finish:
    """The last stage of a program; `scale` is what an output of 1 has to be before it."""

    decision: Decision
    scores: Scores
    decimals: int
    scale: float

    def score_error(self, output_error: float, outputs: int) -> int:
        """How many units a score can be off, when each of `outputs` can be by `output_error`."""
        if self.scores in (Scores.NONE, Scores.SCALED, Scores.SHARES):
            return math.ceil(output_error + 0.5)
        # No logit's derivative of a probability exceeds 1/4, nor the sum of their sizes 1/2.
        probability = 0.5 * output_error / self.scale + self._rounding_error(max(outputs, 2))
        return math.ceil(probability * 10.0**self.decimals + 0.5)

    def _rounding_error(self, powers: int) -> float:
        """What the roundings of `powers` exponentials do to a probability.

        Relative errors of up to r change p by at most 2 r p (1 - p), absolute ones of up to a, of
        values that sum up to at least s, by (powers + 1) a / s.
        """
        if self.scores is Scores.EXPONENTIAL:
            return POWER_ERROR / 2 + (powers + 1) * 2.0**-32
        return 0.75 * POWER_ERROR + 2.0**-32 + (powers + 1) * 2.0 * (2.0**-30 + 2.0**-32)


def finish_for(
    output: OutputSpec,
    decision: Decision,
    *,
    probability: Scores = Scores.EXPONENTIAL,
    logit: float = 1.0,
) -> Finish:
    """The finish for `output`: `probability` are its scores where it gives probabilities.

    `logit` times an output is the logarithm of the odds.
    """
    match output.scores:
        case "value" | "decision":
            return Finish(decision, Scores.SCALED, output.decimals, 10.0**output.decimals)
        case "none":
            return Finish(decision, Scores.NONE, output.decimals, logit * LOG2_E * 2**30)
        case "probability":
            if output.decimals > MAX_PROBABILITY_DECIMALS:
                raise NoExactProgram(
                    f"Probabilities with {output.decimals} decimals are beyond exact programs."
                )
            return Finish(decision, probability, output.decimals, logit * LOG2_E * 2**30)
