"""Opening containers and lists for reading in pieces, wherever they lie; a piece that does not come is asked again."""

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
"""Bytes asked for at once, at most: what is lost when a connection breaks."""

SECOND = 1_000_000_000


CHANGED = "the file changed since it was listed; scan again when it is finished"


def open_source(uri: str, storage: Storage, *, ahead: int = 1 << 16) -> BinaryIO:
    """A file to be read and sought in, which reads `ahead` bytes on.

    Raises SourceError, StorageTrouble, and OSError for files of this machine.
    """
    path = path_of(uri)
    if path is not None:
        return open_local(path)
    place = storage.place(uri)
    file = storage.patience.ask(lambda: place.files.open_input_file(place.path))
    return cast(BinaryIO, io.BufferedReader(RemoteFile(file, storage.patience), ahead))


def open_listed(item: SourceItem, storage: Storage, *, ahead: int = 1 << 16) -> BinaryIO:
    """As `open_source`, for a file that must be as it was listed.

    Raises also UnreadableImage "changed".
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
    """A file of this machine; a pipe would be waited for, a device would never end.

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
    """A file of Arrow's that is as it was listed.

    Raises UnreadableImage "changed", and what the file system raises.
    """
    file = place.files.open_input_file(place.path)
    if file.size() != item.size or (item.mtime_ns and _mtime_ns(file, place) not in (0, item.mtime_ns)):
        file.close()
        raise UnreadableImage(item.name, "changed", CHANGED)
    return file


def _mtime_ns(file: Any, place: Place) -> int:
    """When a file was last changed, to the second; S3 said so when the file was opened, others are asked again."""
    if isinstance(place.files, fs.S3FileSystem):
        said = file.metadata().get("Last-Modified", b"")
        try:
            return int(datetime.fromisoformat(said.decode().replace("Z", "+00:00")).timestamp()) * SECOND
        except ValueError:
            return 0
    return (place.files.get_file_info(place.path).mtime_ns or 0) // SECOND * SECOND


class RemoteFile(io.RawIOBase):
    """A file of Arrow's as Python reads files; every piece is asked for until it comes or patience ends."""

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
        """Where the next piece begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Where the next piece shall begin."""
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
        """Lets go of the connection."""
        if not self.closed:
            self.file.close()
        super().close()


def read_whole(file: Any, offset: int, length: int) -> bytes:
    """A part of a file of Arrow's, all of it.

    Raises OSError where less came.
    """
    data: bytes = file.read_at(length, offset)
    if len(data) != length:
        raise OSError(f"the answer was cut short: {len(data)} of {length} bytes")
    return data


def remote_item(place: Place, info: Any) -> SourceItem:
    """A file as storage lists it; times to the second, as what S3 tells of one object has no more."""
    mtime = (info.mtime_ns or 0) // SECOND * SECOND
    return SourceItem(place.uri(info.path), size=info.size or 0, mtime_ns=mtime)
