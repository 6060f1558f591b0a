"""The images of one row group of a Parquet file, read once from start to end."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from .image_column import ImageColumn, cells_of, leaf_index

_BATCH = 16 << 20
"""The approximate size of a batch in bytes."""
_REPEATED = 16
"""Rows of a batch if one value may stand for many rows: a file of a few bytes could then fill any memory."""


class RowGroup:
    """The cells of a row group, for any number of threads that move through it at about the same pace.

    Only the last `window` bytes of a larger group are kept: going far back makes it start again.
    """

    def __init__(self, file: BinaryIO, opened: pq.ParquetFile, group: int, column: ImageColumn, window: int) -> None:
        self._file = file
        metadata = opened.metadata
        self.metadata = metadata
        self.first: int = sum(metadata.row_group(i).num_rows for i in range(group))
        """The number of its first row in the file."""
        self._opened, self._group, self._column, self._window = opened, group, column, window
        self.rows: int = metadata.row_group(group).num_rows
        chunk = metadata.row_group(group).column(leaf_index(opened, column))
        most = _REPEATED if chunk.has_dictionary_page else 1024
        self._batch = max(1, min(most, _BATCH * self.rows // max(chunk.total_uncompressed_size, 1)))
        self._lock = threading.Lock()
        self._coming: Any = None
        self._kept: deque[tuple[int, Any]] = deque()
        self._held = 0
        self._next = 0

    def __del__(self) -> None:
        """Closes the file once the last reader is done with this group."""
        self._file.close()

    def cell(self, row: int) -> bytes | None:
        """The bytes of a row of the file; None for an empty cell.

        Raises whatever Arrow and the storage raise.
        """
        wanted = row - self.first
        if not 0 <= wanted < self.rows:
            raise IndexError(f"row {row} is not in this row group")
        with self._lock:
            if self._coming is None or (self._kept and wanted < self._kept[0][0]):
                self._begin()
            while wanted >= self._next:
                self._advance()
            start, cells = next(one for one in reversed(self._kept) if one[0] <= wanted)
            return cells[wanted - start].as_py()

    def _begin(self) -> None:
        self._kept.clear()
        self._next = self._held = 0
        self._coming = self._opened.iter_batches(
            self._batch, row_groups=[self._group], columns=[self._column.leaf], use_threads=False
        )

    def _advance(self) -> None:
        try:
            cells = cells_of(next(self._coming), self._column)
        except BaseException:
            self._coming = None  # a failed reader cannot continue; the next call starts again
            raise
        self._kept.append((self._next, cells))
        self._next += len(cells)
        self._held += cells.nbytes
        while len(self._kept) > 1 and self._held > self._window:
            self._held -= self._kept.popleft()[1].nbytes
