"""Reads the Parquet files of an output, and refuses any that is not as we write it."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..sources.parquet_file import is_foreign, open_parquet

LATER: Mapping[str, object] = {"unjudged": [], "duplicates": [], "quality": 0, "strayed": [], "unsure": []}
"""What stands in columns that files of earlier versions lack."""
MAY_BE_EMPTY = frozenset(("distance", "caption"))
"""Those of our own columns that may have null cells."""


def read_ours(file: Any, columns: Sequence[str] | None, known: pa.Schema, more: pa.Schema | None = None) -> pa.Table:
    """Reads columns of a file that we wrote; None reads all. `known` and `more` give the expected types.

    Columns of `known` must exist, except LATER, and hold no nulls beyond MAY_BE_EMPTY. Raises ArrowException and
    OSError, and ArrowInvalid also for columns that are missing, of another type, or not sound.
    """
    found = open_parquet(file)
    schema = found.schema_arrow
    missing = [name for name in (known.names if columns is None else columns) if schema.get_field_index(name) < 0]
    for name in missing:
        if name not in LATER:
            raise pa.ArrowInvalid(f"it has no column {name}")
    types = {one.name: one.type for one in (*(more or ()), *known)}
    for one in schema:
        if is_foreign(one.type) or types.get(one.name) not in (None, one.type):
            raise pa.ArrowInvalid(f"its column {one.name} is {one.type}")
    table = found.read(columns=None if columns is None else [name for name in columns if name not in missing])
    table.validate(full=True)  # text is UTF-8, lists begin where others end
    for name in missing:
        nothing = pa.array([LATER[name]] * len(table), known.field(name).type)
        table = table.add_column(min(known.get_field_index(name), table.num_columns), known.field(name), nothing)
    for name in set(known.names) & set(table.column_names) - MAY_BE_EMPTY:
        if _has_nulls(table[name]):
            raise pa.ArrowInvalid(f"its column {name} has empty cells")
    return table


def _has_nulls(column: pa.ChunkedArray) -> bool:
    """Whether a cell, or an element of a cell, is null."""
    inner = [part.flatten() for part in column.chunks if pa.types.is_list(column.type)]
    inner += [field for part in inner if pa.types.is_struct(part.type) for field in part.flatten()]
    return bool(column.null_count or sum(part.null_count for part in inner))
