"""Thresholds for a goal, how certain they are, and what a probability really means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...collection.statistics.curves import Calibration, calibration, choose, sweep
from ...collection.statistics.metrics import Interval, percentiles, wilson
from .logistic import sigmoid

if TYPE_CHECKING:
    from numpy.typing import NDArray

Goal = Literal["precision", "recall", "informedness"]
RESAMPLES = 400
COLDEST, HOTTEST = 0.05, 50.0
"""The range in which a temperature is searched."""
EDGE = 1e-6
"""How far probabilities are kept from 0 and 1, so that their logits stay finite."""


@dataclass(frozen=True)
class Threshold:
    """A threshold on a score where higher is better, with its results on the labelled images."""

    value: float
    interval: Interval
    """Its 95 % confidence interval over other images of the same kind."""
    precision: float
    precision_interval: Interval
    recall: float
    recall_interval: Interval
    reached: bool
    """Whether the goal was reached."""


def threshold_for(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], goal: Goal, target: float, seed: int = 0
) -> Threshold:
    """The threshold that serves a goal best. For informedness the target is ignored, and the maximum is taken."""
    aim = np.inf if goal == "informedness" else target
    chosen = choose(sweep(keep, scores), goal, aim)
    random = np.random.default_rng(seed)
    drawn: list[float] = []
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(keep), len(keep))
        drawn.append(choose(sweep(keep[rows], scores[rows]), goal, aim).threshold)
    found = np.array(drawn)
    interval = percentiles(np.where(np.isfinite(found), found, np.nan))
    return _at(keep, scores, chosen.threshold, interval, reached=chosen.reached or goal == "informedness")


def threshold_for_rate(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], every: NDArray[np.float64], rate: float, seed: int = 0
) -> Threshold:
    """The threshold that accepts the share `rate` of all scored images, `every`, whether or not they are labelled."""
    value = float(np.quantile(every, 1 - rate))
    random = np.random.default_rng(seed)
    drawn = [float(np.quantile(random.choice(every, len(every)), 1 - rate)) for _ in range(RESAMPLES)]
    return _at(keep, scores, value, percentiles(np.array(drawn)), reached=True)


def _at(
    keep: NDArray[np.bool_], scores: NDArray[np.float64], value: float, interval: Interval, *, reached: bool
) -> Threshold:
    accepted = scores >= value
    hits, called, kept = int((accepted & keep).sum()), int(accepted.sum()), int(keep.sum())
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
    """The divisor of logits that makes probabilities match observed frequencies."""

    value: float
    """Above 1: the model is overconfident."""
    bounded: bool
    """Whether a temperature beyond COLDEST or HOTTEST would fit better: scores that separate the labels perfectly, or
    that carry no information, have no optimum."""
    before: Calibration
    after: Calibration

    def calibrated(self, probability: float) -> float:
        """What a probability of the model really means."""
        return float(sigmoid(_logit(np.array([probability])) / self.value)[0])


def temperature(keep: NDArray[np.bool_], probabilities: NDArray[np.float64]) -> Temperature:
    """The temperature under which the labels are most likely (Guo et al. 2017), found by bisection."""
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
    return Temperature(value, bounded, calibration(keep, probabilities), calibration(keep, sigmoid(logits / value)))


def _slope(keep: NDArray[np.bool_], logits: NDArray[np.float64], value: float) -> float:
    """The derivative of the log loss with respect to the temperature, up to a positive factor."""
    return -float(np.sum((sigmoid(logits / value) - keep) * logits))


def _logit(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    clipped = np.clip(probabilities, EDGE, 1 - EDGE)
    return np.log(clipped) - np.log1p(-clipped)
