"""Reads the bytes of one input, wherever it is stored."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import pyarrow as pa

from ...core.errors import UnreadableImage
from ...core.pictures.open import FILE_LIMIT, read_image_file
from .error import SourceError
from .file import CHANGED, PIECE, open_listed, open_unchanged, read_whole
from .image_column import image_column
from .item import SourceItem, path_of
from .latest import Latest
from .parquet import NULL_CODE, NULL_FLAW
from .parquet_file import damage, is_damage, open_parquet
from .row_group import RowGroup
from .storage import Storage
from .trouble import Patience, StorageTrouble, local_trouble_text

_BLOCK = tarfile.BLOCKSIZE


class ItemReader:
    """Reads items. One per process, shared by any number of threads.

    `patience` limits how often and how long remote storage is retried. The `groups` Parquet row groups used last stay
    in memory, each with up to `window` bytes; the same number of remote tars stays open.
    """

    def __init__(self, patience: Patience | None = None, *, groups: int = 4, window: int = 64 << 20) -> None:
        self.storage = Storage(patience)
        self._window = window
        self._groups: Latest[RowGroup] = Latest(groups)
        self._tars: Latest[Any] = Latest(groups)

    def read(self, item: SourceItem) -> bytes:
        """The image's bytes as they are stored.

        Raises UnreadableImage: the item's own code; not_a_file if it is gone, changed if it is not what was listed,
        too_large, io if it stays unavailable after retries, corrupt for a damaged container.
        """
        if item.code:
            raise UnreadableImage(item.name, item.code, item.flaw)
        if min(item.offset, item.length, item.size) < 0 or (item.column and not item.member.isdecimal()):
            raise UnreadableImage(item.name, "corrupt", "no image can be where this one is said to be")
        if item.length > FILE_LIMIT or (item.size > FILE_LIMIT and not item.member):
            raise _too_large(item, item.length or item.size)
        try:
            return self._read(item)
        except StorageTrouble as trouble:
            gone = "the object is not there (any more)" if trouble.kind == "missing" else trouble.detail
            raise UnreadableImage(item.name, trouble.code, gone) from trouble
        except SourceError as error:
            raise UnreadableImage(item.name, "io", error.detail) from error
        except FileNotFoundError as error:
            raise UnreadableImage(item.name, "not_a_file", "the file is not there (any more)") from error
        except OSError as error:
            raise UnreadableImage(item.name, "io", local_trouble_text(error)) from error

    def _read(self, item: SourceItem) -> bytes:
        path = path_of(item.uri)
        if item.column:
            return self._read_cell(item)
        if item.member:
            return self._read_member(item, path)
        return self._read_object(item) if path is None else _read_file(path, item)

    def _read_object(self, item: SourceItem) -> bytes:
        """A whole remote file."""
        place = self.storage.place(item.uri)

        def once() -> bytes:
            with open_unchanged(item, place) as file:
                return read_whole(file, 0, item.size)

        return self.storage.patience.ask(once)

    def _read_member(self, item: SourceItem, path: Path | None) -> bytes:
        """A file in a tar, read in one piece with the header before it."""
        start, length = item.offset - _BLOCK, item.length + _BLOCK
        if path is not None:
            with open_listed(item, self.storage) as file:
                file.seek(start)
                return _without_header(file.read(length), item)
        place = self.storage.place(item.uri)
        key = (item.uri, item.size, item.mtime_ns, "", 0)

        def once() -> bytes:
            file = self._tars.get(key, lambda: open_unchanged(item, place))
            try:
                return read_whole(file, start, length)
            except Exception:
                self._tars.forget(key)
                raise

        return _without_header(self.storage.patience.ask(once), item)

    def _read_cell(self, item: SourceItem) -> bytes:
        """A cell of a Parquet file; its row group is read only once."""
        key = (item.uri, item.size, item.mtime_ns, item.column, item.offset)
        try:
            cell = self._groups.get(key, lambda: self._open_group(item)).cell(int(item.member))
        except (OSError, StorageTrouble, pa.ArrowException, IndexError, StopIteration, UnicodeDecodeError) as error:
            self._groups.forget(key)
            if not is_damage(error):
                raise
            raise UnreadableImage(item.name, "corrupt", damage(error)) from error
        if cell is None:
            raise UnreadableImage(item.name, NULL_CODE, NULL_FLAW)
        if not isinstance(cell, bytes):
            raise UnreadableImage(item.name, "corrupt", f"the column {item.column!r} holds no bytes")
        if len(cell) > FILE_LIMIT:
            raise _too_large(item, len(cell))
        return cell

    def _open_group(self, item: SourceItem) -> RowGroup:
        beside = self._groups.any(lambda key: key[:3] == (item.uri, item.size, item.mtime_ns))
        file = open_listed(item, self.storage)
        try:
            metadata = beside.metadata if beside is not None else None
            opened = open_parquet(file, metadata, piece=PIECE)
            column = image_column(item.uri, opened.schema_arrow, item.column)
            return RowGroup(file, opened, item.offset, column, self._window)
        except BaseException:
            file.close()
            raise


def _read_file(path: Path, item: SourceItem) -> bytes:
    data = read_image_file(path)
    if len(data) != item.size or (item.mtime_ns and path.stat().st_mtime_ns != item.mtime_ns):
        raise UnreadableImage(path, "changed", CHANGED)
    return data


def _without_header(data: bytes, item: SourceItem) -> bytes:
    """A member of a tar, if its header still precedes it: the tar may have been rewritten in the meantime."""
    try:
        header = tarfile.TarInfo.frombuf(data[:_BLOCK], "utf-8", "surrogateescape")
    except tarfile.TarError as error:
        raise UnreadableImage(item.name, "changed", CHANGED) from error
    if header.size != item.length or len(data) != item.length + _BLOCK:
        raise UnreadableImage(item.name, "changed", CHANGED)
    return data[_BLOCK:]


def _too_large(item: SourceItem, size: int) -> UnreadableImage:
    return UnreadableImage(item.name, "too_large", f"the file has {size / 1e9:.1f} GB")
