"""How good answers are: confusion matrix, accuracy, precision, recall, F1, MCC, informedness, and their intervals.

Everything here needs only numpy. What needs scores instead of answers (ROC, thresholds, calibration) is in `curves.py`.
A ratio whose denominator is 0 (the precision of a class that was never predicted) is NaN: it is unknown, not 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Counts = NDArray[np.int64]
Values = NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 10_000


class Interval(NamedTuple):
    """The range of a value, with the confidence asked for."""

    low: float
    high: float


@dataclass(frozen=True)
class Confusion:
    """The answers given for each true class."""

    classes: tuple[str, ...]
    counts: Counts
    """[len(classes), len(classes)]: rows are true classes, columns are answers."""

    def __post_init__(self) -> None:
        size = len(self.classes)
        if self.counts.shape != (size, size):
            raise ValueError(f"{size} classes need a {size} x {size} matrix, not {self.counts.shape}")

    @property
    def total(self) -> int:
        """How many images were answered."""
        return int(self.counts.sum())

    @property
    def support(self) -> Counts:
        """[C]: how many images each class truly has."""
        return self.counts.sum(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return _ratio(float(np.trace(self.counts)), self.total)

    @property
    def recall(self) -> Values:
        """[C]: of the images of a class, the share answered as that class."""
        return _ratios(np.diag(self.counts), self.support)

    @property
    def precision(self) -> Values:
        """[C]: of the images answered as a class, the share that is of that class."""
        return _ratios(np.diag(self.counts), self.counts.sum(axis=0))

    @property
    def f1(self) -> Values:
        """[C]: the harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN)."""
        return _ratios(2 * np.diag(self.counts), self.counts.sum(axis=0) + self.support)

    @property
    def balanced_accuracy(self) -> float:
        """The mean recall of the classes that have images: accuracy as if all classes were of equal size."""
        return float(np.mean(self.recall[self.support > 0])) if self.total else float("nan")

    @property
    def mcc(self) -> float:
        """Matthews' correlation coefficient, as `matthews`; NaN without images."""
        return float(matthews(self.counts)) if self.total else float("nan")

    @property
    def informedness(self) -> float:
        """The chance that an answer is an informed one, -1 to 1, 0 being chance (Youden 1950, Powers 2011).

        With two classes it is recall + specificity - 1; with more, each class against the rest, weighted by how often
        it is answered.
        """
        counts = self.counts.astype(np.float64)
        answered = counts.sum(axis=0)
        each = self.informedness_of_each
        known = ~np.isnan(each)
        return float(np.average(each[known], weights=answered[known])) if answered[known].sum() else float("nan")

    @property
    def informedness_of_each(self) -> Values:
        """[C]: recall minus false-alarm rate, for each class against the rest."""
        counts = self.counts.astype(np.float64)
        false_alarms = counts.sum(axis=0) - np.diag(counts)
        return self.recall - _ratios(false_alarms, counts.sum() - self.support)

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Wilson's interval of the accuracy."""
        return wilson(int(np.trace(self.counts)), self.total, confidence)

    def resampled(self, resamples: int = RESAMPLES, seed: int = 0) -> Counts:
        """[resamples, C, C]: the matrices that as many images drawn with replacement would have given."""
        size = len(self.classes)
        if not self.total:
            return np.zeros((resamples, size, size), dtype=np.int64)
        random = np.random.default_rng(seed)
        drawn = random.multinomial(self.total, self.counts.ravel() / self.total, size=resamples)
        return drawn.reshape(resamples, size, size)

    def bootstrap(
        self,
        statistic: Callable[[Confusion], float],
        confidence: float = CONFIDENCE,
        resamples: int = 2000,
        seed: int = 0,
    ) -> Interval:
        """The percentile interval of any number made from the matrix, such as `lambda c: c.mcc`."""
        found = [statistic(Confusion(self.classes, counts)) for counts in self.resampled(resamples, seed)]
        return percentiles(np.array(found), confidence)


def confusion(actual: Sequence[str], predicted: Sequence[str], classes: Sequence[str] = ()) -> Confusion:
    """The matrix of two lists of class names. Raises ValueError where their lengths differ or a name is not a class.

    `classes` gives the order; left out, it is that of first appearance, truths before answers.
    """
    if len(actual) != len(predicted):
        raise ValueError(f"{len(actual)} true classes, but {len(predicted)} answers")
    names = tuple(classes) or tuple(dict.fromkeys([*actual, *predicted]))
    place = {name: index for index, name in enumerate(names)}
    unknown = sorted({*actual, *predicted} - set(names))
    if unknown:
        raise ValueError(f"{', '.join(unknown)}: not among the classes {', '.join(names)}")
    counts = np.zeros((len(names), len(names)), dtype=np.int64)
    rows = np.array([place[name] for name in actual], dtype=np.intp)
    columns = np.array([place[name] for name in predicted], dtype=np.intp)
    np.add.at(counts, (rows, columns), 1)
    return Confusion(names, counts)


def matthews(counts: Counts) -> Values:
    """Matthews' correlation coefficient of matrices [..., C, C], -1 to 1, for any number of classes (Gorodkin 2004).

    0 is chance. It is also 0 where all answers, or all true classes, are the same.
    """
    cells = counts.astype(np.float64)
    rows, columns, total = cells.sum(axis=-1), cells.sum(axis=-2), cells.sum(axis=(-2, -1))
    covariance = np.trace(cells, axis1=-2, axis2=-1) * total - (rows * columns).sum(axis=-1)
    spread = (total**2 - (rows**2).sum(axis=-1)) * (total**2 - (columns**2).sum(axis=-1))
    return np.divide(covariance, np.sqrt(spread), out=np.zeros(np.shape(spread)), where=spread > 0)


def wilson(successes: int, total: int, confidence: float = CONFIDENCE) -> Interval:
    """The score interval of a share (Wilson 1927): sound for few images and for shares near 0 and 1."""
    if total <= 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = successes / total
    scale = 1 + z**2 / total
    middle = (share + z**2 / (2 * total)) / scale
    half = z / scale * float(np.sqrt(share * (1 - share) / total + z**2 / (4 * total**2)))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def resampled_means(values: Values, size: int, resamples: int = RESAMPLES, seed: int = 0) -> Values:
    """[resamples]: the means of `size` values drawn with replacement; the same for the same seed.

    Repeated values are drawn together, as counts; that makes 10,000 resamples of thousands of values quick.
    """
    random = np.random.default_rng(seed)
    distinct, counts = np.unique(values, return_counts=True)
    if len(distinct) * 4 <= size:
        drawn = random.multinomial(size, counts / counts.sum(), size=resamples)
        return drawn @ distinct / size
    means = np.empty(resamples)
    step = max(1, 4_000_000 // max(1, size))  # at most 32 MB of positions at once
    for start in range(0, resamples, step):
        stop = min(start + step, resamples)
        means[start:stop] = values[random.integers(0, len(values), (stop - start, size))].mean(axis=1)
    return means


def percentiles(found: Values, confidence: float = CONFIDENCE) -> Interval:
    """The central interval of resampled values; NaNs are left out."""
    known = found[~np.isnan(found)]
    if not known.size:
        return Interval(float("nan"), float("nan"))
    tail = (1 - confidence) / 2 * 100
    low, high = np.percentile(known, [tail, 100 - tail])
    return Interval(float(low), float(high))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _ratios(parts: ArrayLike, wholes: ArrayLike) -> Values:
    parts, wholes = np.asarray(parts, dtype=np.float64), np.asarray(wholes, dtype=np.float64)
    return np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes != 0)
