"""The list of all inputs of a scan, written before it starts, and which of them an output already has."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ...core.judging.spot_checks import Off
from ...core.pictures.walk import PassedBy, Search
from ..sources.item import SourceItem
from ..sources.sources import list_items
from .output import IMAGES, MANIFEST, DamagedPart, Output
from .schema import MANIFEST_COLUMNS
from .strayed import STRAYED, filled, furthest, strays

PART = 10_000
"""Inputs in a file of the manifest."""
TRANSIENT = ("io", "not_a_file", "changed")
"""Errors that may be gone next time: such an image is scanned again."""

_FIELDS = tuple(name for name in MANIFEST_COLUMNS.names if name != "key")


class Listed(NamedTuple):
    """How far a list has come."""

    inputs: int
    passed_by: str
    """What was left out because it is hidden, as a sentence; empty if there was nothing."""


def write_manifest(output: Output, sources: Sequence[str], search: Search, column: str) -> Iterator[Listed]:
    """Lists the sources into the output, file by file; yields the number of inputs so far, and what was left out.

    The output may lie inside a source; its own files are not inputs.
    Raises SourceError, OutputError, WriteFailed.
    """
    passed_by = PassedBy()
    search = replace(search, passed_by=passed_by)
    if output.local:
        search = replace(search, skip=(*search.skip, Path(output.root)))
    listed = list_items(sources, search, column=column, apart="" if output.local else output.where)
    count = number = 0
    while part := list(itertools.islice(listed, PART)):
        output.write_table(_table(part), MANIFEST, _name(number))
        count, number = count + len(part), number + 1
        yield Listed(count, str(passed_by))
    for name in output.parts(MANIFEST):
        if name >= _name(number):  # of an earlier, longer list
            output.remove(MANIFEST, name)
    yield Listed(count, str(passed_by))


def _name(number: int) -> str:
    return f"part-{number:06}.parquet"


def _table(part: Sequence[SourceItem]) -> pa.Table:
    columns = {name: [getattr(item, name) for item in part] for name in (*_FIELDS, "key")}
    return pa.table({name: columns[name] for name in MANIFEST_COLUMNS.names}, schema=MANIFEST_COLUMNS)


def items_from(columns: Mapping[str, NDArray[Any]]) -> list[SourceItem]:
    """Items from columns, as Ray passes them."""
    each = zip(*(columns[name].tolist() for name in _FIELDS), strict=True)
    return [SourceItem(**dict(zip(_FIELDS, one, strict=True))) for one in each]


@dataclass(frozen=True)
class Listing:
    """The manifest by key, ordered by the first half of the keys; 24 bytes per input."""

    places: NDArray[np.uint64]
    """[n], sorted: the first half of each key, which identifies the place of the input."""
    states: NDArray[np.uint64]
    """[n]: the second half, which changes with the input."""
    numbers: NDArray[np.int64]
    """[n]: the position in the manifest."""

    def __len__(self) -> int:
        return len(self.places)

    @classmethod
    def read(cls, output: Output) -> Listing:
        """Reads an output's manifest. Raises OutputError."""
        parts = [halves(output.part(name, ["key"], MANIFEST)["key"]) for name in output.parts(MANIFEST)]
        keys = np.concatenate([np.zeros((0, 2), dtype=np.uint64), *parts])
        order = np.argsort(keys[:, 0], kind="stable")
        return cls(keys[order, 0], keys[order, 1], order.astype(np.int64))

    def find(self, keys: pa.ChunkedArray) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """For each key, the number of the input at the same place, or -1, and whether it is unchanged."""
        wanted = halves(keys)
        if not len(self):
            return np.full(len(wanted), -1), np.zeros(len(wanted), dtype=bool)
        at = np.minimum(np.searchsorted(self.places, wanted[:, 0]), len(self) - 1)
        there = self.places[at] == wanted[:, 0]
        return np.where(there, self.numbers[at], -1), there & (self.states[at] == wanted[:, 1])


def halves(keys: pa.ChunkedArray) -> NDArray[np.uint64]:
    """Keys of 16 bytes as [n, 2]."""
    raw = b"".join(keys.to_pylist())
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64).reshape(-1, 2)


@dataclass(frozen=True)
class Survey:
    """How much of a manifest an output holds."""

    listing: Listing
    missing: NDArray[np.bool_]
    """[inputs]: which still have to be scanned."""
    damaged: tuple[str, ...] = ()
    """Files that could not be read and were set aside; their images are scanned again."""
    strayed: Mapping[str, Off] = field(default_factory=dict[str, Off])
    """By model, the fast number furthest from the exact one, where that is further than stated."""


def survey(output: Output, *, forget: bool = True) -> Survey:
    """Compares an output with its manifest, and repairs it.

    Removed from the output are: rows of inputs that have changed, duplicate rows (the workers of a killed command may
    still write after the next one starts), files that cannot be read, and, if `forget`, rows that are not final: with
    an error that may be gone now, such as a model that failed, or a verdict that hangs on numbers trusted too much.
    Raises OutputError, WriteFailed.
    """
    listing = Listing.read(output)
    missing = np.ones(len(listing), dtype=bool)
    damaged: list[str] = []
    strayed: list[Off] = []
    for name in output.parts():
        try:
            keys = output.part(name, ["key", "error", "failures", *STRAYED, "unsure"])
        except DamagedPart:
            output.set_aside(name)
            damaged.append(name)
            continue
        strayed += strays(keys)
        numbers, same = listing.find(keys["key"])
        transient = _passing(keys)
        listed = numbers >= 0
        stands = listed & same & ~(transient & forget)
        stands[stands] = _first(numbers[stands], missing)
        if not (stands | ~listed).all():
            replace_part(output, name, output.part(name).filter(pa.array(stands | ~listed)))
    models = output.settings.models if output.settings else ()
    return Survey(listing, missing, tuple(damaged), furthest(strayed, models))


def _passing(rows: pa.Table) -> NDArray[np.bool_]:
    """Which rows may turn out otherwise the next time: not read, a model failed, or fast numbers trusted too much."""
    error = rows["error"].to_numpy()
    return np.isin(error, TRANSIENT) | ((filled(rows["failures"]) | filled(rows["unsure"])) & (error == ""))


def _first(numbers: NDArray[np.int64], missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which of these inputs are seen for the first time. They are marked as no longer missing."""
    first = np.zeros(len(numbers), dtype=bool)
    first[np.unique(numbers, return_index=True)[1]] = True
    first &= missing[numbers]
    missing[numbers] = False
    return first


def replace_part(output: Output, name: str, rows: pa.Table) -> None:
    """Replaces the rows of a file; a file without rows is removed. Raises OutputError, WriteFailed."""
    if len(rows):
        output.write_table(rows, IMAGES, name)
    else:
        output.remove(IMAGES, name)


def to_do(output: Output, name: str, first: int, missing: NDArray[np.bool_]) -> pa.Table:
    """The inputs of one manifest file that still have to be scanned; `first` is the number of its first input."""
    found = output.part(name, None, MANIFEST)
    return found.filter(pa.array(missing[first : first + len(found)])).select(_FIELDS)
