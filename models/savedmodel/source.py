"""Finds the files of a SavedModel in a folder or a zip, and maps them. Names in a zip never become paths on disk."""

from __future__ import annotations

import mmap
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from ...core.errors import CorruptWeights, UnsafeWeights, one_line
from ...core.weights.formats.not_weights import not_weights
from .bundle import Bundle, shard_count

INDEX = "variables/variables.index"
METADATA = "keras_metadata.pb"
SMALL, LARGE = 256 << 20, 4 << 30
"""Bytes: the largest index or metadata, and the largest data, that is read."""
MOST_MEMBERS = 10_000
MOST_SHARDS = 64
RATIO = 1000
"""The largest compression ratio a zip may have: weights compress little."""


@dataclass(frozen=True)
class SavedModel:
    """The parts of a SavedModel that are read, memory-mapped."""

    name: str
    """Of the zip without its ending, or of the folder."""
    bundle: Bundle
    metadata: memoryview
    shards: tuple[memoryview, ...]


@contextmanager
def open_savedmodel(path: Path, scratch: Path | None = None) -> Iterator[SavedModel]:
    """The SavedModel in a folder or zip; its arrays must not be used after the block.

    Until then, data from a zip lies in a temporary file, in `scratch` or the system's folder for such files.
    Raises CorruptWeights and UnsafeWeights.
    """
    with ExitStack() as stack:
        read = _folder(path, stack) if path.is_dir() else _zip(path, stack, scratch)
        try:
            index = read(INDEX, SMALL)
            count = shard_count(index)
            if not 1 <= count <= MOST_SHARDS:
                raise CorruptWeights(f"its index speaks of {count} data files")
            names = [f"variables/variables.data-{i:05}-of-{count:05}" for i in range(count)]
            shards = tuple(read(name, LARGE) for name in names)
            model = SavedModel(
                path.stem if path.is_file() else path.name, Bundle(index, shards), read(METADATA, SMALL), shards
            )
        except CorruptWeights as error:
            raise CorruptWeights(f"{one_line(str(path))} cannot be read as a SavedModel: {error}.") from error
        yield model


Read = Callable[[str, int], memoryview]


def _folder(path: Path, stack: ExitStack) -> Read:
    found = sorted(path.glob(INDEX)) or sorted(path.glob(f"*/{INDEX}")) or sorted(path.glob(f"*/*/{INDEX}"))
    root = _only([one.parents[1] for one in found], path)

    def read(name: str, limit: int) -> memoryview:
        file = root / name
        if not file.is_file():
            raise CorruptWeights(f"it has no {name}")
        if file.stat().st_size > limit:
            raise CorruptWeights(f"its {name} is too large")
        return _mapped(stack.enter_context(file.open("rb")), stack)

    return read


def _zip(path: Path, stack: ExitStack, scratch: Path | None) -> Read:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
    except FileNotFoundError:
        raise CorruptWeights(f"{one_line(str(path))} is not there.") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError) as error:
        raise CorruptWeights(f"{one_line(str(path))} is no whole zip: {_why(path) or error}.") from error
    members = _members(archive, path)
    root = _only([str(PurePosixPath(name).parents[1]) for name in members if f"/{name}".endswith(f"/{INDEX}")], path)

    def read(name: str, limit: int) -> memoryview:
        member = members.get(str(PurePosixPath(root) / name))
        if member is None:
            raise CorruptWeights(f"it has no {name}")
        if member.file_size > limit or member.file_size > RATIO * max(member.compress_size, 1):
            raise UnsafeWeights(f"{one_line(str(path))}: {name} would unpack to {member.file_size:,} bytes; not read.")
        return _mapped(_unpacked(archive, member, stack, scratch), stack)

    return read


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The files of a zip. A zip with an entry outside its folder is refused as a whole. Raises UnsafeWeights."""
    entries = archive.infolist()
    if len(entries) > MOST_MEMBERS:
        raise UnsafeWeights(f"{one_line(str(path))} has {len(entries):,} entries, which no SavedModel has.")
    for entry in entries:
        name = entry.orig_filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name or "\0" in name:
            raise UnsafeWeights(f"{one_line(str(path))} has the entry {one_line(name)!r}, which leaves its folder.")
    return {str(PurePosixPath(entry.filename)): entry for entry in entries if not entry.is_dir()}


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo, stack: ExitStack, scratch: Path | None) -> IO[bytes]:
    """One member in a temporary file of its own; never more than the bytes it declares."""
    target = stack.enter_context(tempfile.TemporaryFile(dir=scratch))  # noqa: SIM115  the stack closes it
    try:
        with archive.open(member) as packed:
            shutil.copyfileobj(packed, target, 1 << 20)  # zipfile stops at the declared size and checks its CRC
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
        raise CorruptWeights(f"its {PurePosixPath(member.filename).name} is damaged ({error})") from error
    except OSError as error:
        raise CorruptWeights(f"its {PurePosixPath(member.filename).name} cannot be unpacked ({error})") from error
    target.flush()
    return target


def _mapped(file: IO[bytes], stack: ExitStack) -> memoryview:
    """The bytes of an open file, read when used. An empty file cannot be mapped."""
    file.seek(0, 2)
    if not file.tell():
        return memoryview(b"")
    buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    stack.callback(_close, buffer)
    return memoryview(buffer)


def _close(buffer: mmap.mmap) -> None:
    """Close a mapping; one that an array still uses closes with the array."""
    try:
        buffer.close()
    except BufferError:
        return


T = TypeVar("T")


def _only(found: list[T], path: Path) -> T:
    if len(found) != 1:
        what = f"{len(found)} SavedModels" if found else f"no SavedModel (a folder with {INDEX})"
        raise CorruptWeights(f"{one_line(str(path))} holds {what}.")
    return found[0]


def _why(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return not_weights(file.read(512))
    except OSError:
        return ""
