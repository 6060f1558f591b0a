"""Spot checks of fast numbers: some images are also computed exactly, and what is found widens the tolerance.

An image that is asked again because a threshold is near is a check as well, at no cost.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np

from ..prediction import Prediction

ONE_IN = 50
"""One image in so many is computed exactly too."""
SPARE = 2.0
"""The tolerance is set to so many times the worst that was seen."""


class Strayed(NamedTuple):
    """A fast number that was further from the exact one than its tolerance allows."""

    image: str
    model: str
    label: str
    fast: float
    exact: float
    allowed: float
    allowed_now: float

    def __str__(self) -> str:
        return (
            f"{self.model}.{self.label} was {self.fast:.4g} at fast and is exactly {self.exact:.4g}"
            f"{f' ({self.image})' if self.image else ''}: off by {abs(self.fast - self.exact):.2g} where "
            f"{self.allowed:.2g} is allowed. From here on {self.allowed_now:.2g} is allowed."
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

    def compare(self, image: str, fast: Prediction, exact: Prediction) -> None:
        """Compare two predictions of one image, and widen the tolerance if they are too far apart."""
        self.compared += 1
        drifts = np.array([fast.labels.drift(index) for index in range(len(fast.labels))])
        with np.errstate(invalid="ignore", divide="ignore"):
            times = np.abs(fast.values.astype(np.float64) - exact.values) / drifts
        times = np.where(np.isfinite(drifts) & np.isfinite(times), times, 0.0)
        worst = int(times.argmax())
        allowed = max(fast.tolerance, self.tolerances.get(fast.model, 0.0))
        if times[worst] <= allowed:
            return
        self.tolerances[fast.model] = wider = SPARE * float(times[worst])
        label, drift = fast.labels.names[worst], float(drifts[worst])
        values = float(fast.values[worst]), float(exact.values[worst])
        self.untold.append(str(Strayed(image, fast.model, label, *values, allowed * drift, wider * drift)))

    def widened(self, prediction: Prediction) -> Prediction:
        """The prediction, with the tolerance that its model's fast numbers turned out to need."""
        wider = self.tolerances.get(prediction.model, 0.0)
        return replace(prediction, tolerance=wider) if 0 < prediction.tolerance < wider else prediction


def chosen(content: bytes) -> bool:
    """Whether an image is computed exactly too, by its hash or its pixels: the same image, the same choice."""
    return zlib.crc32(content) % ONE_IN == 0
