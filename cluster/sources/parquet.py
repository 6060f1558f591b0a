"""Parquet with a column of images: their bytes, as Hugging Face stores them, or the paths of their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import one_line
from .error import SourceError
from .item import SourceItem

NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "gif", "bytes", "image_bytes", "content", "data", "picture")
"""Names under which images are looked for, the likelier first."""

NULL_CODE, NULL_FLAW = "empty", "the cell is empty (null)"
_BYTES = "bytes"
_ROWS = 16


@dataclass(frozen=True)
class ImageColumn:
    """The column of a Parquet file in which images, or the paths of images, stand."""

    name: str
    leaf: str
    """As Parquet names what is read: `image`, or `image.bytes` for a struct."""
    holds_bytes: bool


def is_damage(error: BaseException) -> bool:
    """Whether an error says that a Parquet file is damaged; Arrow's own OSErrors have no number of the system's."""
    if isinstance(error, OSError):
        return type(error) is OSError and error.errno is None
    return isinstance(error, (pa.ArrowException, UnicodeDecodeError, IndexError, StopIteration))


def damage(error: BaseException) -> str:
    """What is said of a damaged file."""
    return (
        f"this is no Parquet file, or one that is damaged or was not written to its end ({one_line(str(error))[:160]})"
    )


def image_column(uri: str, schema: Any, column: str) -> ImageColumn:
    """The column asked for, or the one that can be told from its name or is the only one of its kind.

    Raises SourceError.
    """
    found = [one for one in map(_fit, schema) if one is not None]
    fit = {one.name: one for one in found if _is_clear(one, schema)}
    if column:
        if column in fit:
            return fit[column]
        wrong = "holds neither images nor paths" if column in schema.names else "does not exist"
        raise SourceError(uri, f"the column {column!r} {_unclear(column, found, fit) or wrong}; {_offered(fit)}")
    named = [fit[name] for name in NAMES if name in fit]
    alone = [one for one in fit.values() if one.holds_bytes]
    if named:
        return next((one for one in named if one.holds_bytes), named[0])
    if len(alone) == 1:
        return alone[0]
    unclear = next((f"{one.name!r} {why}; " for one in found if (why := _unclear(one.name, found, fit))), "")
    raise SourceError(uri, f"no column can be told to hold the images; {unclear}{_offered(fit)}")


def _offered(fit: dict[str, ImageColumn]) -> str:
    names = ", ".join(list(fit)[:12])
    return f"name one of these with --column: {names}" if names else "it has none of bytes, structs of bytes, or paths"


def _unclear(name: str, found: Sequence[ImageColumn], fit: Mapping[str, ImageColumn]) -> str:
    """Why a column that would fit is not taken; empty for any other."""
    there = name not in fit and any(one.name == name for one in found)
    return "cannot be told from another column; rename it" if there else ""


def _is_clear(column: ImageColumn, schema: Any) -> bool:
    """Whether nothing else in the file has the name by which the column is read: `a.b` is a column, or b within a."""
    same = (
        field.name == column.leaf or (field.type.num_fields and column.leaf.startswith(f"{field.name}."))
        for field in schema
    )
    return bool(column.name) and sum(map(bool, same)) == 1


def _fit(field: Any) -> ImageColumn | None:
    kind = field.type
    if isinstance(kind, pa.ExtensionType):
        kind = kind.storage_type
    if _is_bytes(kind):
        return ImageColumn(field.name, field.name, holds_bytes=True)
    if pa.types.is_struct(kind) and kind.get_field_index(_BYTES) >= 0 and _is_bytes(kind.field(_BYTES).type):
        return ImageColumn(field.name, f"{field.name}.{_BYTES}", holds_bytes=True)
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return ImageColumn(field.name, field.name, holds_bytes=False)
    return None


def _is_bytes(kind: Any) -> bool:
    types = pa.types
    return types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind)


def cell_items(table: SourceItem, opened: pq.ParquetFile, column: ImageColumn) -> Iterator[SourceItem]:
    """One item a row; the pictures are not read, except of row groups that are known to have empty cells."""
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
    """The rows of a group without an image, where the statistics say that there are any; else `Reader` tells."""
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
    return found  # what lies behind a damage is told by who reads it


def leaf_index(opened: pq.ParquetFile, column: ImageColumn) -> int:
    """Which of the leaves of the schema the column is."""
    group = opened.metadata.row_group(0)
    paths = [group.column(i).path_in_schema for i in range(opened.metadata.num_columns)]
    if column.leaf not in paths:
        raise pa.ArrowInvalid(f"it has no column {column.leaf}")
    return paths.index(column.leaf)


def cells_of(batch: Any, column: ImageColumn) -> Any:
    """The bytes or paths of a batch's rows, as an array of Arrow's: another library's type is never asked.

    Asked for `a`, Arrow also gives a column `a.b`.
    """
    cells = batch.column(column.name)
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    return cells.flatten()[0] if pa.types.is_struct(cells.type) else cells


def named_files(table: SourceItem, opened: pq.ParquetFile, column: ImageColumn) -> Iterator[str | SourceItem]:
    """The paths and addresses in a column, row by row; an item with a code where a cell is empty."""
    row = 0
    for batch in opened.iter_batches(4096, columns=[column.leaf]):
        for named in cells_of(batch, column).to_pylist():
            if named:
                yield named
            else:
                yield replace(table, member=str(row), column=column.name, code=NULL_CODE, flaw=NULL_FLAW)
            row += 1
