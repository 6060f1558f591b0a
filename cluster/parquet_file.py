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

from ..core.errors import KeepersError
from .source_trouble import StorageTrouble


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


def read_ours(file: Any, columns: Sequence[str] | None, known: pa.Schema) -> pa.Table:
    """Columns of a file that we wrote. `known` tells the types of some; None reads all.

    Raises ArrowException and OSError; ArrowInvalid also where columns are missing or of other types.
    """
    found = open_parquet(file)
    schema = found.schema_arrow
    for name in known.names if columns is None else columns:
        if schema.get_field_index(name) < 0:
            raise pa.ArrowInvalid(f"it has no column {name}")
    for one in schema:
        expected = known.field(one.name).type if one.name in known.names else None
        if is_foreign(one.type) or expected not in (None, one.type):
            raise pa.ArrowInvalid(f"its column {one.name} is {one.type}")
    return found.read(columns=columns)


def is_foreign(kind: pa.DataType) -> bool:
    """Whether a type, or one inside it, is of another library."""
    if isinstance(kind, pa.BaseExtensionType):
        return True
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    if pa.types.is_dictionary(kind):
        inner.append(kind.value_type)
    return any(map(is_foreign, inner))
