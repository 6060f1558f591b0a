"""Reads an output piece by piece, in bounded memory: all of it, or only some rows."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from ...core.prediction import Answer
from .output import CHUNK, Output
from .predictions import predictions
from .schema import COLUMNS, ImageRow, ModelColumn, from_table

if TYPE_CHECKING:
    import pyarrow as pa


class RowPlace(NamedTuple):
    """Where an image is in an output: a file and a row of it."""

    part: str
    row: int


def pieces(output: Output, columns: Sequence[str]) -> Iterator[tuple[RowPlace, pa.Table]]:
    """All rows, up to CHUNK at a time, each time with the place of the first. Raises OutputError."""
    for name in output.parts():
        found = output.part(name, columns)
        for start in range(0, len(found), CHUNK):
            yield RowPlace(name, start), found.slice(start, CHUNK)


def picked(
    output: Output, spots: Iterable[RowPlace], columns: Sequence[str]
) -> Iterator[tuple[list[RowPlace], pa.Table]]:
    """The rows at some places, up to CHUNK at a time; files without any are not read. Raises OutputError."""
    wanted: dict[str, list[int]] = {}
    for spot in sorted(set(spots)):
        wanted.setdefault(spot.part, []).append(spot.row)
    for name, places in wanted.items():
        found = output.part(name, columns)
        for start in range(0, len(places), CHUNK):
            some = places[start : start + CHUNK]
            yield [RowPlace(name, row) for row in some], found.take(some)


def image_rows(found: pa.Table, models: Sequence[ModelColumn]) -> list[ImageRow]:
    """As `schema.from_table`, but fast where predictions have thousands of values."""
    there = [one for one in models if one.model in found.column_names]
    plain = from_table(found.select([name for name in found.column_names if name in COLUMNS.names]), ())
    stored = {one.model: predictions(found, one) for one in there}
    listed: list[ImageRow] = []
    for place, row in enumerate(plain):
        fresh: Mapping[str, Answer] = {m: answer for m, every in stored.items() if (answer := every[place]) is not None}
        listed.append(replace(row, answers={**row.answers, **fresh}))
    return listed
