"""After all images are scanned: the verdicts that depend on near-duplicates, and what became of every input."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ..output.manifest import Listing, replace_part
from ..output.schema import ImageRow, from_table, to_table
from ..output.strayed import filled
from .duplicates import NONE

if TYPE_CHECKING:
    from ..output.output import Output
    from .stages import Write


@dataclass(frozen=True)
class Counts:
    """What became of all inputs of a scan. Unreadable images count as errors, not as review too."""

    listed: int = 0
    skipped: int = 0
    """Already in the output."""
    accept: int = 0
    review: int = 0
    reject: int = 0
    error: int = 0
    duplicates: int = 0
    """Images in whose place a better one is kept, whatever their verdict."""
    captions: int = 0
    failed: int = 0
    """Readable images that some model could not judge, whatever their verdict."""
    unjudged: int = 0
    """Readable images that could not be judged, and are for review."""
    unsure: int = 0
    """Images, of earlier scans too, whose verdicts hang on fast numbers that are trusted less by now."""

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, one.name) + getattr(other, one.name) for one in fields(Counts)))

    @property
    def missing(self) -> int:
        """Inputs missing from the output: none once a scan has finished."""
        return self.listed - self.skipped - self.accept - self.review - self.reject - self.error


def settle_part(output: Output, part: str, write: Write, listing: Listing, found: pa.Table) -> int:
    """Decides those images of a file again that turned out to be duplicates, or are no longer any.

    `found` is from `duplicates.named_duplicates`. Returns how many rows changed. Raises OutputError, WriteFailed.
    """
    light = output.part(part, ["key", "duplicate_of", "distance", "duplicates"])
    numbers, _ = listing.find(light["key"])
    twins = _twins(found, numbers)
    known = zip(*(light[name].to_pylist() for name in ("duplicate_of", "distance", "duplicates")), strict=True)
    changed = np.array([number >= 0 and one != old for number, one, old in zip(numbers, twins, known, strict=True)])
    if not changed.any():
        return 0
    whole = output.part(part)
    columns = write.columns
    old = from_table(whole.filter(pa.array(changed)), columns)
    new = [_decided(row, write, twins[place]) for row, place in zip(old, np.flatnonzero(changed), strict=True)]
    replace_part(output, part, pa.concat_tables([whole.filter(pa.array(~changed)), to_table(new, columns)]))
    return len(new)


_Twin = tuple[str, int | None, list[str]]
"""The image that is kept instead, the distance to it, and the others; ("", None, []) for an image without twins."""


def _twins(found: pa.Table, numbers: NDArray[np.int64]) -> list[_Twin]:
    """What was found of each input."""
    known = found["number"].to_numpy()
    there = np.isin(numbers, known)
    rows = iter(found.take(pa.array(np.searchsorted(known, numbers[there]))).to_pylist())
    return [_twin(next(rows)) if one else ("", None, []) for one in there]


def _twin(row: Mapping[str, Any]) -> _Twin:
    distance = row["distance"]
    return row["duplicate_of"], None if distance == NONE else distance, row["duplicates"]


def _decided(row: ImageRow, write: Write, twin: _Twin) -> ImageRow:
    kept, distance, others = twin
    return write.decided(replace(row, duplicate_of=kept, distance=distance, duplicates=tuple(others)))


def count_part(output: Output, part: str, listing: Listing, missing: NDArray[np.bool_]) -> Counts:
    """What a file holds of this scan's inputs. Raises OutputError."""
    found = output.part(part, ["key", "verdict", "error", "duplicate_of", "caption", "failures", "unjudged", "unsure"])
    numbers, same = listing.find(found["key"])
    unsure = int((filled(found["unsure"]) & (numbers >= 0)).sum())
    new = (numbers >= 0) & same
    new[new] = missing[numbers[new]]
    mine = found.filter(pa.array(new))
    error = mine["error"].to_numpy() != ""
    verdict = mine["verdict"].to_numpy()
    outcomes = [int(((verdict == outcome) & ~error).sum()) for outcome in ("accept", "review", "reject")]
    duplicates = int((mine["duplicate_of"].to_numpy() != "").sum())
    captions = len(mine) - mine["caption"].null_count
    failed = sum(1 for code, failures in zip(error, mine["failures"].to_pylist(), strict=True) if failures and not code)
    open_ = filled(mine["unjudged"])
    accept, review, reject = outcomes
    told = duplicates, captions, failed, int((open_ & ~error).sum())
    return Counts(0, 0, accept, review, reject, int(error.sum()), *told, unsure)
