"""Parquet files that anybody may have written: their types are looked at before their rows are.

In Ray's processes Arrow knows Ray's own types too, and asks their Python code to read them. One of them, the column of
Python objects, runs whatever was packed into it once a row is looked at.
"""

# pyright: reportUnknownParameterType=false
# pyarrow tells no types.
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import KeepersError
from .trouble import StorageTrouble

MAY_BE_EMPTY = frozenset(("distance", "caption"))
"""Of our own columns."""


def open_parquet(file: Any, metadata: Any = None, *, piece: int = 0) -> pq.ParquetFile:
    """A Parquet file by its footer, or by `metadata` that was read before.

    With `piece`, columns are read so many bytes at a time. Raises ArrowException and OSError where it is none, or was
    not written to its end; StorageTrouble where it is not to be had.
    """
    try:
        found = pq.ParquetFile(file, metadata=metadata, pre_buffer=not piece, buffer_size=piece)
        found.schema_arrow  # noqa: B018  types describe themselves to their own code here
    except (OSError, pa.ArrowException, StorageTrouble, KeepersError):
        raise
    except Exception as error:
        raise pa.ArrowInvalid(f"one of its types cannot be read: {error}") from error
    return found


def read_ours(file: Any, columns: Sequence[str] | None, known: pa.Schema, more: pa.Schema | None = None) -> pa.Table:
    """Columns of a file that we wrote. `known` tells the types of some, `more` of others; None reads all.

    Raises ArrowException and OSError; ArrowInvalid also where columns are missing, of other types, or not sound.
    """
    found = open_parquet(file)
    schema = found.schema_arrow
    for name in known.names if columns is None else columns:
        if schema.get_field_index(name) < 0:
            raise pa.ArrowInvalid(f"it has no column {name}")
    types = {one.name: one.type for one in (*(more or ()), *known)}
    for one in schema:
        if is_foreign(one.type) or types.get(one.name) not in (None, one.type):
            raise pa.ArrowInvalid(f"its column {one.name} is {one.type}")
    table = found.read(columns=columns)
    table.validate(full=True)  # text is UTF-8, lists begin where others end
    for name in set(known.names) & set(table.column_names) - MAY_BE_EMPTY:
        if _has_nulls(table[name]):
            raise pa.ArrowInvalid(f"its column {name} has empty cells")
    return table


def _has_nulls(column: pa.ChunkedArray) -> bool:
    """Whether a cell is empty, or one inside it."""
    inner = [part.flatten() for part in column.chunks if pa.types.is_list(column.type)]
    inner += [field for part in inner if pa.types.is_struct(part.type) for field in part.flatten()]
    return bool(column.null_count or sum(part.null_count for part in inner))


def is_foreign(kind: pa.DataType) -> bool:
    """Whether a type, or one inside it, is of another library."""
    if isinstance(kind, pa.BaseExtensionType):
        return True
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    if pa.types.is_dictionary(kind):
        inner.append(kind.value_type)
    return any(map(is_foreign, inner))
