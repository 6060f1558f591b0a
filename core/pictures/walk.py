"""Finds image files: recursively, in a fixed order, and with a word about whatever is passed over."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..files import is_temporary
from .open import SUFFIXES


@dataclass(frozen=True)
class Found:
    """A regular file to look at."""

    path: Path
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class PassedOver:
    """A path that was named, or found among images, but cannot be looked at."""

    path: Path
    code: str
    """As UnreadableImage.code, or "not_followed"."""
    reason: str


@dataclass(frozen=True)
class Search:
    """What a walk takes and what it leaves out."""

    include: Sequence[str] = ()
    """Patterns for file names, such as "*.png"; empty means every known image ending."""
    exclude: Sequence[str] = ()
    """Patterns for the names of files and folders to leave out."""
    recursive: bool = True
    follow: bool = False
    """Whether symbolic links inside folders are followed; those named by hand always are."""
    skip: Sequence[Path] = ()
    """Folders that are never entered, such as those that copies are sorted into."""


def walk(paths: Iterable[Path], search: Search | None = None) -> Iterator[Found | PassedOver]:
    """The files named and those in the folders named, each once; folders in order of their names."""
    given: set[Path] = set()
    for entry in walk_repeating(paths, search):
        if entry.path not in given:
            given.add(entry.path)
            yield entry


def walk_repeating(paths: Iterable[Path], search: Search | None = None) -> Iterator[Found | PassedOver]:
    """Like `walk`, but in constant memory: a file that is named and also in a named folder comes twice."""
    search = search or Search()
    entered: set[tuple[int, int]] = {(s.st_dev, s.st_ino) for path in search.skip if (s := _stat(path)) is not None}
    for path in paths:
        found = _look(path)
        if found is None:
            yield from _walk_folder(path, search, entered)
        else:
            yield found


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def _look(path: Path) -> Found | PassedOver | None:
    """The file, or why it is not one; None for a folder."""
    try:
        found = path.stat()
    except FileNotFoundError:
        reason = "the link leads nowhere" if path.is_symlink() else "there is no such file or folder"
        return PassedOver(path, "not_a_file", reason)
    except PermissionError:
        return PassedOver(path, "io", "no permission to read it")
    except (OSError, ValueError) as error:
        return PassedOver(path, "not_a_file", f"it cannot be looked at ({error})")
    if stat.S_ISDIR(found.st_mode):
        return None
    if not stat.S_ISREG(found.st_mode):
        return PassedOver(path, "not_a_file", "this is not a regular file")
    return Found(path, found.st_size, found.st_mtime_ns)


def _walk_folder(folder: Path, search: Search, entered: set[tuple[int, int]]) -> Iterator[Found | PassedOver]:
    identity = _stat(folder)
    if identity is None or (identity.st_dev, identity.st_ino) in entered:
        return  # the folder was walked already, or a link leads back up
    entered.add((identity.st_dev, identity.st_ino))
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError as error:
        reason = "no permission to list it" if isinstance(error, PermissionError) else str(error)
        yield PassedOver(folder, "io", reason)
        return
    for entry in entries:
        if not excluded(entry.name, search):
            yield from _entry(Path(folder, entry.name), entry, search, entered)


def _entry(
    path: Path, entry: os.DirEntry[str], search: Search, entered: set[tuple[int, int]]
) -> Iterator[Found | PassedOver]:
    linked = entry.is_symlink()
    try:
        is_folder = entry.is_dir(follow_symlinks=search.follow)
    except OSError:
        is_folder = False
    if is_folder:
        if search.recursive:
            yield from _walk_folder(path, search, entered)
    elif wanted(entry.name, search):
        if linked and not search.follow:
            yield PassedOver(path, "not_followed", "this is a symbolic link; --follow follows them")
        else:
            found = _look(path)
            if found is not None:
                yield found


def excluded(name: str, search: Search) -> bool:
    """Whether a search leaves out files and folders of this name."""
    return any(fnmatch.fnmatch(name, pattern) for pattern in search.exclude)


def wanted(name: str, search: Search) -> bool:
    """Whether a search takes a file of this name; what it excludes is not considered."""
    if is_temporary(name):
        return False
    if search.include:
        return any(fnmatch.fnmatch(name, pattern) for pattern in search.include)
    return os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122  making a Path of every name costs more than the walk
