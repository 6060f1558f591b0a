"""The column of a Parquet file that holds images: as bytes, the way Hugging Face stores them, or as paths of files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from .error import SourceError

NAMES = ("image", "img", "jpg", "jpeg", "png", "webp", "gif", "bytes", "image_bytes", "content", "data", "picture")
"""Column names to look for images under, likeliest first."""

_BYTES = "bytes"


@dataclass(frozen=True)
class ImageColumn:
    """The column of a Parquet file that holds images or their paths."""

    name: str
    leaf: str
    """Parquet's name for what is read: `image`, or `image.bytes` for a struct."""
    holds_bytes: bool


def image_column(uri: str, schema: Any, column: str) -> ImageColumn:
    """The column asked for; else the one with a known name, or the only one that holds bytes.

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
    """Why a column of the right type cannot be used; empty for any other."""
    there = name not in fit and any(one.name == name for one in found)
    return "cannot be told from another column; rename it" if there else ""


def _is_clear(column: ImageColumn, schema: Any) -> bool:
    """Whether the name it is read by is unambiguous: `a.b` may be a column of that name, or b within a."""
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


def leaf_index(opened: pq.ParquetFile, column: ImageColumn) -> int:
    """The position of the column among the leaves of the schema."""
    group = opened.metadata.row_group(0)
    paths = [group.column(i).path_in_schema for i in range(opened.metadata.num_columns)]
    if column.leaf not in paths:
        raise pa.ArrowInvalid(f"it has no column {column.leaf}")
    return paths.index(column.leaf)


def cells_of(batch: Any, column: ImageColumn) -> Any:
    """The bytes or paths of a batch's rows, as a plain Arrow array: no code of an extension type ever runs.

    Asked for `a`, Arrow also returns a column `a.b`.
    """
    cells = batch.column(column.name)
    if isinstance(cells, pa.ExtensionArray):
        cells = cells.storage
    return cells.flatten()[0] if pa.types.is_struct(cells.type) else cells
