"""The images of one row group of a Parquet file, read once from front to back."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any, BinaryIO

import pyarrow.parquet as pq

from .parquet import ImageColumn, cells_of, leaf_index

_BATCH = 16 << 20
"""Bytes of a batch, about."""
_REPEATED = 16
"""Rows of a batch where one value may stand for many rows: a file of a few bytes then fills any memory."""


class RowGroup:
    """Gives the cells of a row group; for any number of threads that go through it about side by side.

    Of a group larger than `window` bytes the last `window` are kept: who goes far back makes it start anew.
    """

    def __init__(self, file: BinaryIO, opened: pq.ParquetFile, group: int, column: ImageColumn, window: int) -> None:
        self._file = file
        metadata = opened.metadata
        self.metadata = metadata
        self.first: int = sum(metadata.row_group(i).num_rows for i in range(group))
        """Number of its first row in the file."""
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
        """Whoever still reads keeps it; the file is closed when the last is done."""
        self._file.close()

    def cell(self, row: int) -> bytes | None:
        """The bytes of a row of the file; None where the cell is empty.

        Raises what Arrow and the storage raise.
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
            self._coming = None  # a reader that failed does not go on; the next asker starts anew
            raise
        self._kept.append((self._next, cells))
        self._next += len(cells)
        self._held += cells.nbytes
        while len(self._kept) > 1 and self._held > self._window:
            self._held -= self._kept.popleft()[1].nbytes
