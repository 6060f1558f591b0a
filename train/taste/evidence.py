"""How good a learned taste is on held-out images, with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...collection.statistics.metrics import Confusion, Interval, confusion, matthews, percentiles, wilson

Bools = NDArray[np.bool_]
Values = NDArray[np.float64]

RESAMPLES = 4000
CLASSES = ("keep", "reject")


@dataclass(frozen=True)
class Measurement:
    """A number with its 95 % interval; NaN where it is undefined."""

    value: float
    low: float
    high: float

    def listed(self) -> list[float | None]:
        """As JSON values."""
        return [float(part) if np.isfinite(part) else None for part in (self.value, self.low, self.high)]


@dataclass(frozen=True)
class Evidence:
    """How well answers match labels; keep is the positive class."""

    mcc: Measurement
    informedness: Measurement
    precision: Measurement
    recall: Measurement

    def listed(self) -> dict[str, list[float | None]]:
        """As JSON values."""
        return {name: getattr(self, name).listed() for name in NAMES}


NAMES = ("mcc", "informedness", "precision", "recall")


def evidence(keep: Bools, said: Bools) -> Evidence:
    """The four numbers of a list of answers. Intervals: bootstrap over images, Wilson for precision and recall."""
    found = confusion(_words(keep), _words(said), CLASSES)
    drawn = found.resampled(RESAMPLES)
    return Evidence(
        Measurement(found.mcc, *percentiles(matthews(drawn))),
        Measurement(found.informedness_of_each[0], *percentiles(_informedness(drawn))),
        Measurement(float(found.precision[0]), *_share(found, axis=0)),
        Measurement(float(found.recall[0]), *_share(found, axis=1)),
    )


def gain(keep: Bools, before: Bools, after: Bools, seed: int = 0) -> Measurement:
    """By how much the MCC of `after` exceeds that of `before`; the interval resamples both from the same images."""
    cells = np.bincount(4 * keep + 2 * before + after, minlength=8)
    random = np.random.default_rng(seed)
    drawn = random.multinomial(len(keep), cells / len(keep), size=RESAMPLES).reshape(-1, 2, 2, 2)
    both = cells.reshape(1, 2, 2, 2)
    differences = matthews(drawn.sum(2)) - matthews(drawn.sum(3))
    value = float((matthews(both.sum(2)) - matthews(both.sum(3)))[0])
    return Measurement(value, *percentiles(differences))


def best_threshold(keep: Bools, scores: Values) -> tuple[float, float]:
    """The threshold with the largest MCC on these images, and that MCC: the best that a threshold alone could gain."""
    candidates = np.unique(np.quantile(scores, np.linspace(0, 1, 201)))
    matrices = np.stack([confusion(_words(keep), _words(scores >= one), CLASSES).counts for one in candidates])
    values = matthews(matrices)
    best = int(np.argmax(values))
    return float(candidates[best]), float(values[best])


def _words(flags: Bools) -> list[str]:
    return [CLASSES[0] if flag else CLASSES[1] for flag in flags]


def _share(found: Confusion, axis: int) -> Interval:
    return wilson(int(found.counts[0, 0]), int(found.counts.sum(axis=axis)[0]))


def _informedness(counts: NDArray[np.int64]) -> Values:
    """[draws, 2, 2], keep first, to [draws]; NaN if a class was not drawn."""
    a, b, c, d = (counts[:, i, j].astype(np.float64) for i in (0, 1) for j in (0, 1))
    shares = [np.divide(x, x + y, out=np.full(len(counts), np.nan), where=x + y > 0) for x, y in ((a, b), (c, d))]
    return shares[0] - shares[1]
