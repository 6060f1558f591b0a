"""How a detector performs on its test images, as numbers for reports and for the detector's file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...collection.statistics.curves import Calibration, Sweep, area_interval, calibration, sweep
from ...collection.statistics.metrics import Confusion, Interval

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Tested:
    """A detector's probabilities for its test images, and what follows from them."""

    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    """[N]: the true classes' positions."""
    probabilities: NDArray[np.float32]
    """[N, classes]"""

    @property
    def answers(self) -> NDArray[np.intp]:
        """[N]: the positions of the predicted classes."""
        return self.probabilities.argmax(axis=1)

    def confusion(self) -> Confusion:
        """True classes against predicted ones."""
        counts = np.zeros((len(self.classes), len(self.classes)), dtype=np.int64)
        np.add.at(counts, (self.labels, self.answers), 1)
        return Confusion(self.classes, counts)

    def sweep(self, label: int) -> Sweep:
        """The curve of one class against the rest."""
        return sweep(self.labels == label, self.probabilities[:, label])

    def calibration(self, label: int) -> Calibration:
        """The calibration of one class's probability."""
        return calibration(self.labels == label, self.probabilities[:, label])


def metrics(found: Tested) -> dict[str, Any]:
    """All numbers as JSON values, with None for NaN, which JSON lacks."""
    matrix = found.confusion()
    return {
        "images": matrix.total,
        "accuracy": json_number(matrix.accuracy),
        "accuracy_interval": json_interval(matrix.interval()),
        "balanced_accuracy": json_number(matrix.balanced_accuracy),
        "mcc": json_number(matrix.mcc),
        "informedness": json_number(matrix.informedness),
        "confusion": {"classes": list(found.classes), "rows_true_columns_answered": matrix.counts.tolist()},
        "classes": {name: _of_class(found, matrix, label) for label, name in enumerate(found.classes)},
    }


def _of_class(found: Tested, matrix: Confusion, label: int) -> dict[str, Any]:
    curve, bins = found.sweep(label), found.calibration(label)
    return {
        "images": int(matrix.support[label]),
        "precision": json_number(float(matrix.precision[label])),
        "recall": json_number(float(matrix.recall[label])),
        "f1": json_number(float(matrix.f1[label])),
        "roc_area": json_number(curve.area),
        "roc_area_interval": json_interval(area_interval(found.labels == label, found.probabilities[:, label])),
        "average_precision": json_number(curve.average_precision),
        "calibration_error": json_number(bins.error),
        "brier": json_number(bins.brier),
    }


def json_number(value: float) -> float | None:
    """The value rounded to six decimals, or None if it is not finite."""
    return round(value, 6) if np.isfinite(value) else None


def json_interval(found: Interval) -> list[float | None]:
    """The two bounds as JSON values."""
    return [json_number(found.low), json_number(found.high)]


def course_summary(history: Sequence[Mapping[str, Any]], best: int) -> dict[str, Any]:
    """The course of a training, for a file's metadata."""
    return {"epochs": len(history), "best_epoch": best + 1, "history": list(history)}
