"""How good scores are: ROC and precision-recall curves, their areas, the threshold for a target, calibration.

`positive` is a list of booleans, `scores` a list of numbers of the same length, higher meaning "more likely positive".
Images without a score (NaN) must be left out by the caller, who knows what to say about them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from .metrics import CONFIDENCE, Interval, Values, percentiles

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

Measure = Literal["precision", "recall", "specificity", "accuracy", "informedness", "f1"]
MEASURES: tuple[Measure, ...] = ("precision", "recall", "specificity", "accuracy", "informedness", "f1")


@dataclass(frozen=True)
class Sweep:
    """The four counts at every threshold that changes an answer; an image is called positive from the threshold on."""

    thresholds: Values
    """[T], descending; the first is infinite: nothing is called positive."""
    true_positives: Values
    false_positives: Values
    positives: int
    negatives: int

    @property
    def recall(self) -> Values:
        """[T]: the share of positives that is found; also called true-positive rate or sensitivity."""
        return _share(self.true_positives, self.positives)

    @property
    def false_alarms(self) -> Values:
        """[T]: the share of negatives that is called positive."""
        return _share(self.false_positives, self.negatives)

    @property
    def precision(self) -> Values:
        """[T]: the share of true positives among those called positive; 1 where none are."""
        called = self.true_positives + self.false_positives
        return np.divide(self.true_positives, called, out=np.ones_like(called), where=called > 0)

    def measure(self, name: Measure) -> Values:
        """[T]: one of MEASURES at every threshold."""
        wrong = self.positives - self.true_positives + self.false_positives
        if name == "precision":
            return self.precision
        if name == "recall":
            return self.recall
        if name == "specificity":
            return 1 - self.false_alarms
        if name == "accuracy":
            return 1 - wrong / max(1, self.positives + self.negatives)
        if name == "informedness":
            return self.recall - self.false_alarms
        return 2 * self.true_positives / np.maximum(1, 2 * self.true_positives + wrong)

    @property
    def area(self) -> float:
        """The area under the ROC curve: the chance that a positive scores above a negative, ties counted half.

        NaN where there are no positives or no negatives.
        """
        if not self.positives or not self.negatives:
            return float("nan")
        steps = np.diff(self.false_alarms)
        return float(np.sum(steps * (self.recall[1:] + self.recall[:-1]) / 2))

    @property
    def average_precision(self) -> float:
        """The mean precision over the positives, found one by one; NaN without positives."""
        return float(np.sum(np.diff(self.recall) * self.precision[1:])) if self.positives else float("nan")


@dataclass(frozen=True)
class Choice:
    """A threshold, and its results on the images it was chosen on."""

    threshold: float
    """The lowest score that is called positive; infinite where nothing reaches the target."""
    value: float
    """The value of the measure aimed at."""
    precision: float
    recall: float
    false_alarms: float
    reached: bool
    """Whether `value` is at least the target."""


@dataclass(frozen=True)
class Calibration:
    """Whether a score of 0.8 means that 80 in 100 are positive."""

    edges: Values
    """[bins + 1], from 0 to 1."""
    predicted: Values
    """[bins]: mean score of the images in the bin; NaN where there are none."""
    found: Values
    """[bins]: share of positives among them."""
    counts: NDArray[np.int64]
    error: float
    """The expected calibration error: the mean of |predicted - found|, weighted by images."""
    brier: float
    """The mean squared difference between score and truth; 0 is perfect, 0.25 is always saying 0.5."""


def sweep(positive: ArrayLike, scores: ArrayLike) -> Sweep:
    """Goes through all thresholds. Raises ValueError for lengths that differ and for NaN."""
    truth, values = np.asarray(positive, dtype=bool).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    if truth.shape != values.shape:
        raise ValueError(f"{truth.size} truths, but {values.size} scores")
    if np.isnan(values).any():
        raise ValueError("scores that are NaN must be left out")
    order = np.argsort(-values, kind="stable")
    truth, values = truth[order], values[order]
    last = np.flatnonzero(np.append(values[:-1] != values[1:], True)) if values.size else np.array([], dtype=np.intp)
    hits, misses = np.cumsum(truth)[last], np.cumsum(~truth)[last]
    return Sweep(
        thresholds=np.concatenate([[np.inf], values[last]]),
        true_positives=np.concatenate([[0.0], hits]),
        false_positives=np.concatenate([[0.0], misses]),
        positives=int(truth.sum()),
        negatives=int((~truth).sum()),
    )


def choose(found: Sweep, measure: Measure, target: float) -> Choice:
    """The threshold for a target such as "precision of at least 0.95".

    Of those that reach it, precision and specificity take the one that finds most, recall the one with the fewest
    false alarms, the others their best. If none reaches the target, the nearest is returned, with `reached` False.
    Thresholds that call nothing positive are not considered.
    """
    values = found.measure(measure).copy()
    values[0] = -np.inf
    if len(values) == 1:
        return Choice(np.inf, float("nan"), float("nan"), float("nan"), float("nan"), reached=False)
    able = np.flatnonzero(values >= target)
    if not able.size:
        place = int(np.argmax(values))
    elif measure in ("precision", "specificity"):
        place = int(able[np.argmax(found.true_positives[able])])
    elif measure == "recall":
        place = int(able[np.argmin(found.false_positives[able])])
    else:
        place = int(able[np.argmax(values[able])])
    return Choice(
        _between(found.thresholds, place),
        float(values[place]),
        float(found.precision[place]),
        float(found.recall[place]),
        float(found.false_alarms[place]),
        reached=bool(able.size),
    )


def calibration(positive: ArrayLike, scores: ArrayLike, bins: int = 10) -> Calibration:
    """Compares scores from 0 to 1 with the truth, in bins of equal width."""
    truth, values = np.asarray(positive, dtype=np.float64).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    place = np.clip((values * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(place, minlength=bins)
    sums = [np.bincount(place, weights=weights, minlength=bins) for weights in (values, truth)]
    predicted, found = (np.divide(s, counts, out=np.full(bins, np.nan), where=counts > 0) for s in sums)
    gaps = np.abs(np.nan_to_num(predicted) - np.nan_to_num(found))
    total = max(1, values.size)
    return Calibration(
        edges=np.linspace(0, 1, bins + 1),
        predicted=predicted,
        found=found,
        counts=counts,
        error=float(np.sum(gaps * counts) / total),
        brier=float(np.mean((values - truth) ** 2)) if values.size else float("nan"),
    )


def area_interval(
    positive: ArrayLike, scores: ArrayLike, confidence: float = CONFIDENCE, resamples: int = 2000, seed: int = 0
) -> Interval:
    """The bootstrap interval of the area under the ROC curve; positives and negatives are drawn separately.

    Counts are drawn for distinct scores, so the time does not grow with repeated scores. NaN if a class is missing.
    """
    truth, values = np.asarray(positive, dtype=bool).ravel(), np.asarray(scores, dtype=np.float64).ravel()
    if not truth.any() or truth.all():
        return Interval(float("nan"), float("nan"))
    random = np.random.default_rng(seed)
    distinct = np.unique(values)
    sides: list[Values] = []
    for side in (truth, ~truth):
        counts = np.bincount(np.searchsorted(distinct, values[side]), minlength=len(distinct))
        sides.append(counts / counts.sum())
    wins, losses = sides
    areas = np.empty(resamples)
    positives, negatives = int(truth.sum()), int((~truth).sum())
    step = max(1, 4_000_000 // len(distinct))
    for start in range(0, resamples, step):
        count = min(step, resamples - start)
        drawn = random.multinomial(positives, wins, count) / positives
        against = random.multinomial(negatives, losses, count) / negatives
        below = np.cumsum(against, axis=1) - against
        areas[start : start + count] = np.sum(drawn * (below + against / 2), axis=1)
    return percentiles(areas, confidence)


def _between(thresholds: Values, place: int) -> float:
    """Halfway to the next score below, so that rounding does not flip an answer; the score itself for the last."""
    if place + 1 == len(thresholds):
        return float(thresholds[place])
    return float((thresholds[place] + thresholds[place + 1]) / 2)


def _share(counts: Values, total: int) -> Values:
    return counts / total if total else np.full(counts.shape, np.nan)
