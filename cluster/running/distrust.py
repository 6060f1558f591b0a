"""When fast numbers strayed: the whole output trusts them less, and verdicts that hang on them are no longer final."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.judging.spot_checks import SPARE
from ...core.prediction import Prediction
from ..output.manifest import replace_part
from ..output.schema import ImageRow, from_table, to_table

if TYPE_CHECKING:
    from ..output.output import Output
    from .stages import Write


def distrust_part(output: Output, part: str, write: Write, tolerances: Mapping[str, float]) -> int:
    """Gives a file's fast numbers these tolerances where theirs are less than was seen; marks rows that do not hold.

    Returns how many rows changed. Raises OutputError, WriteFailed.
    """
    whole = output.part(part)
    trusted = np.zeros(len(whole), dtype=np.bool_)
    for model, tolerance in tolerances.items():
        trusted |= _trusted(whole[model], tolerance / SPARE)
    if not trusted.any():
        return 0
    rows = from_table(whole.filter(pa.array(trusted)), write.columns)
    new = [_distrusted(row, write, tolerances) for row in rows]
    replace_part(output, part, pa.concat_tables([whole.filter(pa.array(~trusted)), to_table(new, write.columns)]))
    return len(new)


def _trusted(predicted: pa.ChunkedArray, seen: float) -> NDArray[np.bool_]:
    """Which of a model's predictions are fast, and allowed to be less far off than what was seen."""
    stated = predicted.combine_chunks().field("tolerance").fill_null(0.0).to_numpy()
    there = predicted.is_valid().to_numpy()
    return there & (stated > 0) & (stated < seen)


def _distrusted(row: ImageRow, write: Write, tolerances: Mapping[str, float]) -> ImageRow:
    wider = {
        model: replace(answer, tolerance=tolerances[model])
        for model, answer in row.answers.items()
        if isinstance(answer, Prediction) and 0 < answer.tolerance < tolerances.get(model, 0.0)
    }
    widened = replace(row, answers={**row.answers, **wider})
    return widened if write.sure(widened) else replace(widened, unsure=tuple(wider))
