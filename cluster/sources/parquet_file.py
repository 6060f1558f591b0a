"""Parquet files from untrusted writers: their types are checked before their rows are read.

In Ray's processes Arrow also knows Ray's own types and calls their Python code to read them. One of them, the column of
Python objects, runs whatever was pickled into it as soon as a row is read.
"""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ...core.errors import KeepersError, one_line
from .trouble import StorageTrouble


def open_parquet(file: Any, metadata: Any = None, *, piece: int = 0) -> pq.ParquetFile:
    """Opens a Parquet file by its footer, or by `metadata` that was read before.

    With `piece`, columns are read that many bytes at a time. Raises ArrowException and OSError if it is not a Parquet
    file or is incomplete, and StorageTrouble if it is not available.
    """
    try:
        found = pq.ParquetFile(file, metadata=metadata, pre_buffer=not piece, buffer_size=piece)
        found.schema_arrow  # noqa: B018  extension types deserialise themselves here
    except (OSError, pa.ArrowException, StorageTrouble, KeepersError):
        raise
    except Exception as error:
        raise pa.ArrowInvalid(f"one of its types cannot be read: {error}") from error
    return found


def is_foreign(kind: pa.DataType) -> bool:
    """Whether a type, or one nested in it, is an extension type of some library."""
    if isinstance(kind, pa.BaseExtensionType):
        return True
    inner = [kind.field(place).type for place in range(kind.num_fields)]
    if pa.types.is_dictionary(kind):
        inner.append(kind.value_type)
    return any(map(is_foreign, inner))


def is_damage(error: BaseException) -> bool:
    """Whether an error means that a Parquet file is damaged. Arrow's own OSErrors carry no errno."""
    if isinstance(error, OSError):
        return type(error) is OSError and error.errno is None
    return isinstance(error, (pa.ArrowException, UnicodeDecodeError, IndexError, StopIteration))


def damage(error: BaseException) -> str:
    """The message for a damaged file."""
    return f"this is not a Parquet file, or it is damaged or was not written to its end ({one_line(str(error))[:160]})"
