"""Spot checks of fast numbers: some images are also computed exactly, and what is found widens the tolerance.

An image that is asked again because a threshold is near is a check as well, at no cost.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..prediction import Labels, Prediction

ONE_IN = 50
"""One image in so many is computed exactly too."""
SPARE = 2.0
"""The tolerance is set to so many times the worst that was seen."""


class Off(NamedTuple):
    """A fast number and the exact one, of the label where they are furthest apart in terms of what is stated."""

    image: str
    model: str
    label: str
    fast: float
    exact: float

    @classmethod
    def between(cls, image: str, fast: Prediction, exact: Prediction) -> Off:
        """Of two predictions of one image."""
        drifts = np.array([fast.labels.drift(index) for index in range(len(fast.labels))])
        with np.errstate(invalid="ignore", divide="ignore"):
            times = np.abs(fast.values.astype(np.float64) - exact.values) / drifts
        worst = int(np.where(np.isfinite(drifts) & np.isfinite(times), times, 0.0).argmax())
        return cls(image, fast.model, fast.labels.names[worst], float(fast.values[worst]), float(exact.values[worst]))

    def times(self, labels: Labels) -> float:
        """How many times the stated drift the two are apart; 0 where none is stated, or a number is none."""
        drift, apart = labels.drift(labels.index(self.label, self.model)), abs(self.fast - self.exact)
        return apart / drift if math.isfinite(apart) and 0 < drift < math.inf else 0.0

    def told(self, labels: Labels, allowed: float = 1.0) -> str:
        """As a line for a person; `allowed` is how many times the stated drift was allowed so far."""
        drift = labels.drift(labels.index(self.label, self.model))
        return (
            f"{self.model}.{self.label} was {self.fast:.4g} at fast and is exactly {self.exact:.4g}"
            f"{f' ({self.image})' if self.image else ''}: off by {abs(self.fast - self.exact):.2g} where "
            f"{allowed * drift:.2g} is allowed. From here on {SPARE * self.times(labels) * drift:.2g} is allowed."
        )


@dataclass
class SpotChecks:
    """What a judge has found of its fast numbers. It lives as long as the judge."""

    tolerances: dict[str, float] = field(default_factory=dict[str, float])
    """By model, where the numbers were further off than its labels state."""
    compared: int = 0
    """How many fast predictions were compared with exact ones."""
    untold: list[str] = field(default_factory=list[str])
    """What nobody was told yet, as lines for a person."""

    def compare(self, image: str, fast: Prediction, exact: Prediction) -> Off:
        """Compare two predictions of one image, and widen the tolerance if they are too far apart."""
        self.compared += 1
        off = Off.between(image, fast, exact)
        allowed, times = max(fast.tolerance, self.tolerances.get(fast.model, 0.0)), off.times(fast.labels)
        if times > allowed:
            self.tolerances[fast.model] = SPARE * times
            self.untold.append(off.told(fast.labels, allowed))
        return off

    def widened(self, prediction: Prediction) -> Prediction:
        """The prediction, with the tolerance that its model's fast numbers turned out to need."""
        wider = self.tolerances.get(prediction.model, 0.0)
        return replace(prediction, tolerance=wider) if 0 < prediction.tolerance < wider else prediction


def chosen(content: bytes) -> bool:
    """Whether an image is computed exactly too, by its hash or its pixels: the same image, the same choice."""
    return zlib.crc32(content) % ONE_IN == 0
