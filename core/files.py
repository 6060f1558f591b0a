"""Writes files so that they appear whole or not at all, and never overwrites one by accident."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, NamedTuple

from .errors import UnreadableImage, WriteFailed

Writer = Callable[[BinaryIO], object]
"""Writes a file's content into an open, seekable binary file, as `lambda f: image.save(f, "PNG")` does."""

_CHUNK = 1 << 20
_PREFIX, _SUFFIX = ".keepers-", ".tmp"
_NO_LINKS = frozenset(
    getattr(errno, name) for name in ("EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK") if hasattr(errno, name)
)


class Stamp(NamedTuple):
    """Shows whether a file is still the one that was looked at."""

    size: int
    mtime_ns: int
    inode: int
    device: int


def stamp(path: Path) -> Stamp:
    """The stamp of a regular file. Raises UnreadableImage: not_a_file or io."""
    try:
        found = path.stat()
    except (OSError, ValueError) as error:
        code = "not_a_file" if isinstance(error, (FileNotFoundError, ValueError)) or _looped(error) else "io"
        raise UnreadableImage(path, code, _unreadable(error)) from error
    if not stat.S_ISREG(found.st_mode):
        raise UnreadableImage(path, "not_a_file", "is not a regular file")
    return _stamp(found)


def check_unchanged(path: Path, before: Stamp) -> None:
    """Raises UnreadableImage "changed" if the file vanished, was replaced or was written since `before`."""
    try:
        same = stamp(path) == before
    except UnreadableImage:
        same = False
    if not same:
        raise UnreadableImage(path, "changed", "changed while it was read; look at it again when it is complete")


def content_hash(path: Path) -> str:
    """The sha256 of a regular file, in hex. Raises UnreadableImage: not_a_file, io, changed."""
    before = stamp(path)
    digest = sha256()
    for block in _blocks(path):
        digest.update(block)
    check_unchanged(path, before)
    return digest.hexdigest()


@contextmanager
def open_regular(path: Path) -> Generator[BinaryIO]:
    """Opens a regular file for reading; a pipe or device in its place is refused at once, not waited for.

    Raises UnreadableImage (not_a_file) and OSError.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    with os.fdopen(os.open(path, flags), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UnreadableImage(path, "not_a_file", "is not a regular file")
        yield file


def atomic_write(path: Path, data: bytes | Writer, *, exclusive: bool = False, mtime_ns: int | None = None) -> None:
    """Writes a file so that others see all of it or nothing, even after a crash; creates its folder if needed.

    An existing file is replaced and keeps its mode bits; with `exclusive` it is never touched.
    `mtime_ns` sets the modification time. Raises WriteFailed (full disk, no permission; nothing is left behind),
    FileExistsError (only with `exclusive`), and whatever `data` raises.
    """
    with _wrapped(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(path) as temporary:
        with _wrapped(path), temporary.open("wb") as file:
            _fill(file, data)
            if not exclusive:
                _keep_mode(path, file)
        if mtime_ns is not None:
            os.utime(temporary, ns=(mtime_ns, mtime_ns))
        _publish(temporary, path, exclusive)


def copy_whole(source: Path, target: Path, *, verify: bool = False) -> str:
    """Copies a file, with its times and mode, to a name that must be free; returns the sha256 of the content.

    With `verify`, the copy is read back and compared before it gets its name.
    Raises FileExistsError, WriteFailed, UnreadableImage (io, changed), and then leaves nothing behind.
    """
    before, digest = stamp(source), sha256()
    with _wrapped(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary(target) as temporary:
        with _wrapped(target), temporary.open("wb") as writer:
            for block in _blocks(source):
                digest.update(block)
                writer.write(block)
            _flush(writer)
        check_unchanged(source, before)
        if verify and content_hash(temporary) != digest.hexdigest():
            raise WriteFailed(target, OSError(errno.EIO, "what was written is not what was read"))
        with suppress(OSError):  # some network shares take no times or modes, but still take the image
            shutil.copystat(source, temporary)
        _publish(temporary, target, exclusive=True)
    return digest.hexdigest()


def link_whole(source: Path, target: Path) -> None:
    """Gives a file a second name that must be free. Raises FileExistsError, WriteFailed."""
    with _wrapped(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, target)
    _sync_folder(target.parent)


def move_whole(source: Path, target: Path) -> None:
    """Moves a file to a name that must be free, on this disk or another; a whole copy exists at every moment.

    On the way to another disk, it is copied, read back and compared before the source is removed.
    Raises FileExistsError, WriteFailed, UnreadableImage (io, changed).
    """
    with _wrapped(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            _rename_exclusive(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _move_across(source, target)
    _sync_folder(target.parent)


def sweep(folder: Path, age: float = 3600.0) -> int:
    """Removes what killed processes left in a folder: our temporary files older than `age` seconds."""
    count = 0
    with suppress(OSError):
        for entry in os.scandir(folder):
            if (
                is_temporary(entry.name)
                and entry.is_file(follow_symlinks=False)
                and time.time() - entry.stat().st_mtime > age
            ):
                with suppress(OSError):
                    Path(entry.path).unlink()
                    count += 1
    return count


def _blocks(path: Path) -> Iterator[bytes]:
    """The content of a file in pieces; a read error names this file, not the one being written."""
    try:
        with open_regular(path) as file:
            while block := file.read(_CHUNK):
                yield block
    except OSError as error:
        raise UnreadableImage(path, "io", _unreadable(error)) from error


def is_temporary(name: str) -> bool:
    """Whether a file name is one that we give to unfinished files."""
    return name.startswith(_PREFIX) and name.endswith(_SUFFIX)


@contextmanager
def _temporary(path: Path) -> Generator[Path]:
    """A new empty file in the folder of `path`, with the mode of a new file; removed afterwards."""
    temporary = path.parent / f"{_PREFIX}{secrets.token_hex(8)}{_SUFFIX}"
    with _wrapped(path):
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
    finally:
        with suppress(OSError):
            temporary.unlink()


@contextmanager
def _wrapped(path: Path) -> Generator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise WriteFailed(path, error) from error


def _fill(file: BinaryIO, data: bytes | Writer) -> None:
    if callable(data):
        data(file)
    else:
        file.write(data)
    _flush(file)


def _flush(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _keep_mode(path: Path, file: BinaryIO) -> None:
    if hasattr(os, "fchmod"):
        with suppress(OSError):
            os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))


def _publish(temporary: Path, path: Path, exclusive: bool) -> None:
    with _wrapped(path):
        if exclusive:
            _rename_exclusive(temporary, path)
        else:
            temporary.replace(path)
    _sync_folder(path.parent)


def _rename_exclusive(source: Path, target: Path) -> None:
    """A rename that fails with FileExistsError if the target exists."""
    if os.name == "nt":
        source.rename(target)
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # On disks without hard links (exFAT, some shares), an empty file takes the name first.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        try:
            source.replace(target)
        except OSError:
            target.unlink()
            raise
    else:
        _remove_or_take_back(source, target)


def _move_across(source: Path, target: Path) -> None:
    before = stamp(source)
    copy_whole(source, target, verify=True)
    try:
        check_unchanged(source, before)
    except UnreadableImage:
        target.unlink()  # the copy is of what the file was before
        raise
    _remove_or_take_back(source, target)


def _remove_or_take_back(source: Path, target: Path) -> None:
    """Completes a move; if the source cannot be removed, the target goes and the file stays where it was."""
    try:
        source.unlink()
    except FileNotFoundError:
        return  # another process ended this move
    except OSError:
        target.unlink()
        raise


def _sync_folder(folder: Path) -> None:
    """Makes a new name survive a power cut, on systems that can sync a folder."""
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _stamp(found: os.stat_result) -> Stamp:
    return Stamp(found.st_size, found.st_mtime_ns, found.st_ino, found.st_dev)


def _looped(error: BaseException) -> bool:
    return isinstance(error, OSError) and error.errno in (errno.ELOOP, errno.ENOTDIR)


def _unreadable(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"cannot be read: {text}"
