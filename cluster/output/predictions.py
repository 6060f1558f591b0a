"""The predictions of one model from its column, without a Python number for each value."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ...core.prediction import PROBABILITY, Floats, Prediction, restored

if TYPE_CHECKING:
    import pyarrow as pa

    from .schema import ModelColumn


def predictions(found: pa.Table, column: ModelColumn) -> list[Prediction | None]:
    """One per row; None where the model was not asked. Values that a sparse column left out are 0."""
    stored = found[column.model].combine_chunks()
    values = _whole(stored, column) if column.floor is None else _sparse(stored, column)
    values.flags.writeable = False
    details = zip(*(stored.field(name).to_pylist() for name in ("label", "margin", "tolerance")), strict=True)
    there = stored.is_valid().to_pylist()
    return [
        restored(column.model, column.labels, row, *rest, fingerprint=column.fingerprint) if one else None
        for one, row, rest in zip(there, values, details, strict=True)
    ]


def unsound(stored: pa.ChunkedArray, column: ModelColumn) -> str:
    """What a column of the right type holds that we never write, as one line; empty if it is sound."""
    for part in stored.chunks:
        there = part.filter(part.is_valid())
        fields = [there.field(place) for place in range(there.type.num_fields)]
        inner = [one.flatten() for one in fields if hasattr(one, "flatten")]
        if any(one.null_count for one in (*fields, *inner)):
            return "has empty cells"
        if column.floor is not None and not _fits(there, len(column.labels)):
            return "has tags that are not among its labels, or not as many tags as scores"
    return ""


def _fits(there: pa.StructArray, labels: int) -> bool:
    """Whether every score has a tag, and every tag is the position of a label."""
    tags, scores = there.field("tags"), there.field("scores")
    places = tags.flatten().to_numpy(zero_copy_only=False)
    return bool(tags.value_lengths().equals(scores.value_lengths()) and ((places >= 0) & (places < labels)).all())


def is_whole(column: ModelColumn) -> bool:
    """Whether the column keeps every value: a floor at or below the lowest value leaves nothing out."""
    lows = {found.low for found in column.labels.ranges} or {PROBABILITY.low}
    return column.floor is None or column.floor <= min(lows)


def unusable(where: str, column: ModelColumn | None, model: str, fingerprint: str) -> str:
    """Why an output's column cannot serve as a model's predictions, as one line; empty if it can."""
    if column is None:
        return f"{where} was not asked about {model}"
    if column.fingerprint != fingerprint:
        prints = f"fingerprint {column.fingerprint}, here {fingerprint or 'none'}"
        return f"{where} was made with other files of {model} ({prints}): its numbers are not used"
    if not is_whole(column):
        return (
            f"{where} keeps the tags of {model} only from {column.floor:g} on, not all its numbers: "
            "to use them all, scan with --tag-floor 0"
        )
    return ""


def _whole(stored: pa.StructArray, column: ModelColumn) -> Floats:
    """[rows, labels]"""
    lists, width = stored.field("values"), len(column.labels)
    flat = lists.values[lists.offset * width : (lists.offset + len(lists)) * width]
    return flat.to_numpy(zero_copy_only=False).reshape(len(lists), width).astype(np.float32)


def _sparse(stored: pa.StructArray, column: ModelColumn) -> Floats:
    """[rows, labels]"""
    tags, scores = stored.field("tags"), stored.field("scores")
    values = np.zeros((len(stored), len(column.labels)), dtype=np.float32)
    starts = tags.offsets.to_numpy()
    rows = np.repeat(np.arange(len(stored)), np.diff(starts))
    places = tags.values.to_numpy()[starts[0] : starts[-1]]
    ends = scores.offsets.to_numpy()
    values[rows, places] = scores.values.to_numpy(zero_copy_only=False)[ends[0] : ends[-1]]
    return values
