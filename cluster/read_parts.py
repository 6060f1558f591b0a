"""Reading an output piece by piece, with bounded memory: all of it, or only the rows that are wanted."""

# pyright: reportUnknownParameterType=false
# pyarrow tells no types.
from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from ..core.prediction import Answer
from .output import IMAGES, Output
from .read_predictions import predictions
from .schema import COLUMNS, ImageRow, ModelColumn, rows


class Spot(NamedTuple):
    """Where an image stands in an output."""

    part: str
    row: int


def pieces(output: Output, columns: Sequence[str]) -> Iterator[tuple[Spot, pa.Table]]:
    """All rows, row group after row group, each with the spot of its first row. Raises OutputError."""
    for name in output.parts():
        start = 0
        with _opened(output, name) as file:
            for group in range(file.num_row_groups):
                found = file.read_row_group(group, columns=list(columns))
                yield Spot(name, start), found
                start += found.num_rows


def picked(output: Output, spots: Iterable[Spot], columns: Sequence[str]) -> Iterator[tuple[list[Spot], pa.Table]]:
    """The rows at some spots, row group after row group; groups without any are not read. Raises OutputError."""
    wanted: dict[str, list[int]] = {}
    for spot in sorted(set(spots)):
        wanted.setdefault(spot.part, []).append(spot.row)
    for name, places in wanted.items():
        with _opened(output, name) as file:
            start = 0
            for group in range(file.num_row_groups):
                end = start + file.metadata.row_group(group).num_rows
                inside = [row for row in places if start <= row < end]
                if inside:
                    found = file.read_row_group(group, columns=list(columns))
                    yield [Spot(name, row) for row in inside], found.take([row - start for row in inside])
                start = end


def image_rows(found: pa.Table, models: Sequence[ModelColumn]) -> list[ImageRow]:
    """As `schema.rows`, and quick where predictions have thousands of values."""
    there = [one for one in models if one.model in found.column_names]
    plain = rows(found.select([name for name in found.column_names if name in COLUMNS.names]), ())
    said = {one.model: predictions(found, one) for one in there}
    listed: list[ImageRow] = []
    for place, row in enumerate(plain):
        fresh: Mapping[str, Answer] = {m: answer for m, all_ in said.items() if (answer := all_[place]) is not None}
        listed.append(replace(row, answers={**row.answers, **fresh}))
    return listed


@contextmanager
def _opened(output: Output, name: str) -> Generator[pq.ParquetFile]:
    """One file; what goes wrong while it is read is told as `Output.part` tells it."""
    try:
        with output.files.open_input_file(output.path(IMAGES, name)) as file:
            yield pq.ParquetFile(file)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise output.unreadable(error, IMAGES, name) from error
