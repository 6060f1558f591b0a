"""Opens containers and lists anywhere, to be read in pieces. A piece that fails to arrive is requested again."""

from __future__ import annotations

import io
import os
import stat
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from pyarrow import fs

from ...core.errors import UnreadableImage
from .item import SourceItem, path_of
from .storage import Place, Storage
from .trouble import Patience

PIECE = 16 << 20
"""The most bytes requested at once: this much is lost when a connection breaks."""

SECOND = 1_000_000_000


CHANGED = "the file changed since it was listed; scan again when it is finished"


def open_source(uri: str, storage: Storage, *, ahead: int = 1 << 16) -> BinaryIO:
    """Opens a seekable file with a read-ahead of `ahead` bytes.

    Raises SourceError, StorageTrouble, and OSError for files on this machine.
    """
    path = path_of(uri)
    if path is not None:
        return open_local(path)
    place = storage.place(uri)
    file = storage.patience.ask(lambda: place.files.open_input_file(place.path))
    return cast(BinaryIO, io.BufferedReader(RemoteFile(file, storage.patience), ahead))


def open_listed(item: SourceItem, storage: Storage, *, ahead: int = 1 << 16) -> BinaryIO:
    """As `open_source`, for a file that must not have changed since it was listed.

    Also raises UnreadableImage "changed".
    """
    path = path_of(item.uri)
    if path is None:
        place = storage.place(item.uri)
        file = storage.patience.ask(lambda: open_unchanged(item, place))
        return cast(BinaryIO, io.BufferedReader(RemoteFile(file, storage.patience), ahead))
    opened = open_local(path)
    found = os.fstat(opened.fileno())
    if (found.st_size, found.st_mtime_ns) != (item.size, item.mtime_ns):
        opened.close()
        raise UnreadableImage(item.name, "changed", CHANGED)
    return opened


def open_local(path: Path) -> BinaryIO:
    """Opens a regular file on this machine. Anything else is refused: a pipe might block, a device might never end.

    Raises OSError, and UnreadableImage "not_a_file".
    """
    try:
        regular = stat.S_ISREG(path.stat().st_mode)
    except ValueError as error:  # a zero byte in its name
        raise FileNotFoundError(f"{path}: {error}") from error
    if not regular:
        raise UnreadableImage(path, "not_a_file", "this is not a regular file")
    return path.open("rb")


def open_unchanged(item: SourceItem, place: Place) -> Any:
    """Opens an Arrow file that has not changed since it was listed.

    Raises UnreadableImage "changed", and whatever the file system raises.
    """
    file = place.files.open_input_file(place.path)
    if file.size() != item.size or (item.mtime_ns and _mtime_ns(file, place) not in (0, item.mtime_ns)):
        file.close()
        raise UnreadableImage(item.name, "changed", CHANGED)
    return file


def _mtime_ns(file: Any, place: Place) -> int:
    """When a file was last changed, to the second. S3 reports this on opening; other file systems are asked again."""
    if isinstance(place.files, fs.S3FileSystem):
        changed = file.metadata().get("Last-Modified", b"")
        try:
            return int(datetime.fromisoformat(changed.decode().replace("Z", "+00:00")).timestamp()) * SECOND
        except ValueError:
            return 0
    return (place.files.get_file_info(place.path).mtime_ns or 0) // SECOND * SECOND


class RemoteFile(io.RawIOBase):
    """An Arrow file as a Python raw file. Every piece is requested until it arrives or patience runs out."""

    def __init__(self, file: Any, patience: Patience) -> None:
        super().__init__()
        self.file = file
        self._patience = patience
        self._size: int = file.size()
        self._position = 0

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position of the next piece."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Moves to the position of the next piece, and returns it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: Any) -> int:
        """Reads a piece and returns its length; 0 at the end.

        Raises StorageTrouble.
        """
        wanted = min(len(buffer), PIECE, self._size - self._position)
        if wanted <= 0:
            return 0
        data = self._patience.ask(lambda: read_whole(self.file, self._position, wanted))
        buffer[:wanted] = data
        self._position += wanted
        return wanted

    def close(self) -> None:
        """Closes the connection."""
        if not self.closed:
            self.file.close()
        super().close()


def read_whole(file: Any, offset: int, length: int) -> bytes:
    """Reads exactly `length` bytes of an Arrow file.

    Raises OSError if fewer arrive.
    """
    data: bytes = file.read_at(length, offset)
    if len(data) != length:
        raise OSError(f"the answer was cut short: {len(data)} of {length} bytes")
    return data
