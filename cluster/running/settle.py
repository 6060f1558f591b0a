"""After all images are scanned: the verdicts that depend on near-duplicates, and what became of every input."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..output.manifest import Listing, replace_part
from ..output.schema import ImageRow, from_table, to_table

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
    """Images that repeat an earlier one, whatever their verdict."""
    captions: int = 0
    failed: int = 0
    """Readable images that some model could not judge, whatever their verdict."""
    unjudged: int = 0
    """Readable images that could not be judged, and are for review."""

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
    light = output.part(part, ["key", "duplicate_of", "distance"])
    numbers, _ = listing.find(light["key"])
    names, distances = _nearest(found, numbers)
    known = light["duplicate_of"].to_numpy(), light["distance"].fill_null(-1).to_numpy()
    changed = (numbers >= 0) & ((names != known[0]) | (distances != known[1]))
    if not changed.any():
        return 0
    whole = output.part(part)
    columns = write.columns
    old = from_table(whole.filter(pa.array(changed)), columns)
    settled = zip(old, names[changed].tolist(), distances[changed].tolist(), strict=True)
    new = [_decided(row, write, name, distance) for row, name, distance in settled]
    replace_part(output, part, pa.concat_tables([whole.filter(pa.array(~changed)), to_table(new, columns)]))
    return len(new)


def _nearest(found: pa.Table, numbers: NDArray[np.int64]) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The nearest earlier image of each input and its distance; "" and -1 if it repeats none."""
    known = found["number"].to_numpy()
    names, distances = np.full(len(numbers), "", dtype=object), np.full(len(numbers), -1)
    if len(known):
        at = np.minimum(np.searchsorted(known, numbers), len(known) - 1)
        there = known[at] == numbers
        names[there] = found["earlier"].to_numpy(zero_copy_only=False)[at[there]]
        distances[there] = found["distance"].to_numpy()[at[there]]
    return names, distances


def _decided(row: ImageRow, write: Write, earlier: str, distance: int) -> ImageRow:
    settled = replace(row, duplicate_of=earlier, distance=distance if earlier else None)
    return write.decided(settled)


def count_part(output: Output, part: str, listing: Listing, missing: NDArray[np.bool_]) -> Counts:
    """What a file holds of this scan's inputs. Raises OutputError."""
    found = output.part(part, ["key", "verdict", "error", "duplicate_of", "caption", "failures", "unjudged"])
    numbers, same = listing.find(found["key"])
    new = (numbers >= 0) & same
    new[new] = missing[numbers[new]]
    mine = found.filter(pa.array(new))
    error = mine["error"].to_numpy() != ""
    verdict = mine["verdict"].to_numpy()
    outcomes = [int(((verdict == outcome) & ~error).sum()) for outcome in ("accept", "review", "reject")]
    duplicates = int((mine["duplicate_of"].to_numpy() != "").sum())
    captions = len(mine) - mine["caption"].null_count
    failed = sum(1 for code, failures in zip(error, mine["failures"].to_pylist(), strict=True) if failures and not code)
    open_ = pc.list_value_length(mine["unjudged"]).to_numpy() > 0  # pyright: ignore[reportAttributeAccessIssue]  made at import
    accept, review, reject = outcomes
    told = duplicates, captions, failed, int((open_ & ~error).sum())
    return Counts(0, 0, accept, review, reject, int(error.sum()), *told)
