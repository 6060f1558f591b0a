"""Thresholds that serve a wish, how sure they are, and what a probability really means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...collection.statistics.curves import Calibration, calibration, choose, sweep
from ...collection.statistics.metrics import Interval, percentiles, wilson

if TYPE_CHECKING:
    from numpy.typing import NDArray

Wish = Literal["precision", "recall", "informedness"]
RESAMPLES = 400
COLDEST, HOTTEST = 0.05, 50.0
"""Between these a temperature is looked for."""
EDGE = 1e-6
"""Probabilities are kept so far from 0 and 1: their logits stay finite."""


@dataclass(frozen=True)
class Threshold:
    """A threshold on a score of which more is better, with what it gives on the labelled images."""

    value: float
    interval: Interval
    """Where it would lie for other images of the same kind, with 95 % confidence."""
    precision: float
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    reached: bool
    """Whether the wish was met."""


def threshold_for(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], wish: Wish, target: float, seed: int = 0
) -> Threshold:
    """The threshold that serves a wish best; for informedness the target is ignored and the best is given."""
    aim = np.inf if wish == "informedness" else target
    chosen = choose(sweep(keep, scores), wish, aim)
    random = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(keep), len(keep))
        drawn.append(choose(sweep(keep[rows], scores[rows]), wish, aim).threshold)
    found = np.array(drawn)
    interval = percentiles(np.where(np.isfinite(found), found, np.nan))
    return _at(keep, scores, chosen.threshold, interval, reached=chosen.reached or wish == "informedness")


def threshold_for_rate(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], every: NDArray[np.float64], rate: float, seed: int = 0
) -> Threshold:
    """The threshold that accepts a share of all scored images, `every`, whether they are labelled or not."""
    value = float(np.quantile(every, 1 - rate))
    random = np.random.default_rng(seed)
    drawn = [float(np.quantile(random.choice(every, len(every)), 1 - rate)) for _ in range(RESAMPLES)]
    return _at(keep, scores, value, percentiles(np.array(drawn)), reached=True)


def _at(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], value: float, interval: Interval, *, reached: bool
) -> Threshold:
    said = scores >= value
    hits, called, kept = int((said & keep).sum()), int(said.sum()), int(keep.sum())
    return Threshold(
        value,
        interval,
        hits / called if called else float("nan"),
        wilson(hits, called),
        hits / kept if kept else float("nan"),
        wilson(hits, kept),
        reached,
    )


@dataclass(frozen=True)
class Temperature:
    """What logits have to be divided by so that probabilities mean what they say."""

    value: float
    """Above 1: the model is too sure of itself."""
    bounded: bool
    """Whether a temperature beyond COLDEST or HOTTEST would fit better: scores that part the labels without an error,
    or that tell nothing, have none."""
    before: Calibration
    after: Calibration

    def calibrated(self, probability: float) -> float:
        """What a probability of the model really means."""
        return float(_sigmoid(_logit(np.array([probability])) / self.value)[0])


def temperature(keep: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Temperature:
    """The temperature under which the labels are most likely (Guo et al. 2017), found by halving an interval."""
    logits = _logit(probabilities)
    low, high = np.log(COLDEST), np.log(HOTTEST)
    for _ in range(60):
        middle = (low + high) / 2
        if _slope(keep, logits, float(np.exp(middle))) >= 0:
            high = middle
        else:
            low = middle
    value = float(np.exp((low + high) / 2))
    bounded = not COLDEST * 1.01 < value < HOTTEST / 1.01
    return Temperature(value, bounded, calibration(keep, probabilities), calibration(keep, _sigmoid(logits / value)))


def _slope(keep: NDArray[np.bool_], logits: NDArray[np.float64], value: float) -> float:
    """The derivative of the log loss by the temperature, but for a positive factor."""
    return -float(np.sum((_sigmoid(logits / value) - keep) * logits))


def _logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, EDGE, 1 - EDGE)
    return np.log(clipped) - np.log1p(-clipped)


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return 0.5 * (1 + np.tanh(logits / 2))
