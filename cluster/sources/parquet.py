"""The inputs in a Parquet file with a column of images, or of the paths of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from .image_column import ImageColumn, cells_of, leaf_index
from .item import SourceItem
from .parquet_file import is_damage

NULL_CODE, NULL_FLAW = "empty", "the cell is empty (null)"
_ROWS = 16


def cell_items(table: SourceItem, opened: pq.ParquetFile, column: ImageColumn) -> Iterator[SourceItem]:
    """One item per row. Pictures are read only in row groups known to have empty cells."""
    row = 0
    for group in range(opened.num_row_groups):
        rows: int = opened.metadata.row_group(group).num_rows
        nulls = _nulls(opened, group, column, rows)
        for index in range(rows):
            item = replace(table, member=str(row + index), offset=group, column=column.name)
            if index in nulls:
                item = replace(item, code=NULL_CODE, flaw=NULL_FLAW)
            yield item
        row += rows


def _nulls(opened: pq.ParquetFile, group: int, column: ImageColumn, rows: int) -> set[int]:
    """The rows of a group without an image, if the statistics report any. `ItemReader` finds the rest on reading."""
    index = leaf_index(opened, column)
    statistics = opened.metadata.row_group(group).column(index).statistics
    count = statistics.null_count if statistics is not None and statistics.has_null_count else 0
    if not count or count == rows:
        return set(range(rows)) if count else set()
    found: set[int] = set()
    start = 0
    try:
        for batch in opened.iter_batches(_ROWS, row_groups=[group], columns=[column.leaf]):
            cells = cells_of(batch, column)
            found.update(start + i for i, empty in enumerate(cells.is_null().to_pylist()) if empty)
            start += len(cells)
    except (OSError, pa.ArrowException) as error:
        if not is_damage(error):
            raise
    return found  # rows behind the damage are reported when they are read


def named_files(table: SourceItem, opened: pq.ParquetFile, column: ImageColumn) -> Iterator[str | SourceItem]:
    """The paths and addresses in a column, row by row; an item with a code for an empty cell."""
    row = 0
    for batch in opened.iter_batches(4096, columns=[column.leaf]):
        for named in cells_of(batch, column).to_pylist():
            if named:
                yield named
            else:
                yield replace(table, member=str(row), column=column.name, code=NULL_CODE, flaw=NULL_FLAW)
            row += 1
