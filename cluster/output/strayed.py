"""Fast numbers of an output that were further from the exact ones than stated, as its rows tell."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ...core.judging.spot_checks import SPARE, Off
from .schema import ModelColumn, from_table

STRAYED = ("uri", "member", "strayed")
"""The columns that tell which numbers strayed, and of which image."""


def strays(rows: pa.Table) -> list[Off]:
    """What the rows tell; they have the columns STRAYED."""
    told = rows.select(STRAYED).filter(pa.array(filled(rows["strayed"])))
    return [off for row in from_table(told, ()) for off in row.strayed]


def furthest(found: Iterable[Off], models: Sequence[ModelColumn]) -> dict[str, Off]:
    """Of each model the number furthest off; not what names another model or label, or is as near as stated."""
    labels = {one.model: one.labels for one in models}
    known = [off for off in found if off.model in labels and off.label in labels[off.model]]
    ranked = sorted((off.times(labels[off.model]), off) for off in known)
    return {off.model: off for times, off in ranked if times > 1}  # the last of a model stays


def tolerances(found: Mapping[str, Off], models: Sequence[ModelColumn]) -> dict[str, float]:
    """By model, the tolerance that its fast numbers need."""
    return {one.model: SPARE * found[one.model].times(one.labels) for one in models if one.model in found}


def filled(lists: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which lists of a column have elements."""
    return pc.list_value_length(lists).to_numpy() > 0  # pyright: ignore[reportAttributeAccessIssue]  made at import
