"""Panels on how right the answers were: the confusion matrix and the measures of each class."""

from __future__ import annotations

from collections.abc import Sequence

from ...collection.statistics.metrics import Confusion
from .panels import Panel, table

POINTS = 101
"""Of a drawn curve."""


def matrix_panel(matrix: Confusion) -> Panel:
    """The confusion matrix."""
    low, high = matrix.interval()
    note = (
        f"{matrix.accuracy:.1%} of {matrix.total:,} right, 95 % interval {low:.1%} to {high:.1%}; "
        f"MCC {matrix.mcc:.3f}, informedness {matrix.informedness:.3f} (0 is chance, 1 is perfect)."
    )
    rows = [[name, *map(int, counts)] for name, counts in zip(matrix.classes, matrix.counts, strict=True)]
    return table("Confusion matrix", ["truly", *(f"answered {name}" for name in matrix.classes)], rows, note=note)


def numbers_panel(matrix: Confusion, areas: Sequence[float]) -> Panel:
    """Precision, recall, F1 and ROC area of each class."""
    columns = ["class", "images", "precision", "recall", "F1", "ROC area"]
    values = zip(matrix.classes, matrix.support, matrix.precision, matrix.recall, matrix.f1, areas, strict=True)
    rows = [[name, int(count), *(round(float(value), 4) for value in found)] for name, count, *found in values]
    note = "Precision: the share of a class's answers that are right. Recall: the share of its images that were found."
    return table("Each class", columns, rows, note=note)
