"""Finds image files: recursively, in a fixed order, and with a word about whatever is passed over."""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from ..files import is_temporary
from .open import SUFFIXES

_HIDDEN = frozenset(("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "lost+found",
                     "system volume information"))  # fmt: skip
"""Folders that a Synology, a QNAP, Windows and a Mac make, in lower case; all others of theirs begin with a dot."""
MOST_COUNTED = 100_000
"""Names that are looked at to count what a hidden folder holds."""
SORTING_LOG = ("keepers-sort-", ".jsonl")
"""How the name of the log of a sorting run begins and ends."""


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


class PassedBy:
    """What a walk left out because it is hidden, or was sorted earlier: thumbnails, caches, the rejects of a scan."""

    def __init__(self) -> None:
        self.single = 0
        """Hidden files in folders that were looked through."""
        self.folders = {"hidden": [0, 0], "sorted": [0, 0]}
        """By kind: files in such folders, and such folders that have any."""
        self._lock = Lock()

    def file(self) -> None:
        """A hidden file."""
        with self._lock:
            self.single += 1

    def folder(self, files: int, kind: str = "hidden") -> None:
        """A folder with this many files that would have been looked at."""
        with self._lock:
            self.folders[kind][0] += files
            self.folders[kind][1] += files > 0

    def __bool__(self) -> bool:
        return bool(self.single or any(count for count, _ in self.folders.values()))

    def __str__(self) -> str:
        """ "skipped 214 in 3 hidden folders and 2 hidden files"; empty if there was nothing."""
        (hidden, those), (moved, sortings) = self.folders["hidden"], self.folders["sorted"]
        told = [f"{hidden:,} in {those:,} hidden folder{'s' * (those != 1)}"] * (hidden > 0)
        told += [f"{moved:,} in {sortings:,} folder{'s' * (sortings != 1)} of an earlier --sort"] * (moved > 0)
        told += [f"{self.single:,} hidden file{'s' * (self.single != 1)}"] * (self.single > 0)
        return f"skipped {' and '.join(told)}" if told else ""


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
    hidden: bool = False
    """Whether hidden files and folders are taken, and folders of an earlier sorting. Those named by hand always are."""
    passed_by: PassedBy | None = field(default=None, compare=False)
    """Counts what is left out because it is hidden; nothing is counted without it."""


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
            yield from _walk_folder(path, search, entered, named=True)
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


def _walk_folder(
    folder: Path, search: Search, entered: set[tuple[int, int]], *, named: bool = False
) -> Iterator[Found | PassedOver]:
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
    if not named and not search.hidden and any(map(is_sorting_log, (entry.name for entry in entries))):
        if search.passed_by is not None:
            search.passed_by.folder(_count(folder, search), "sorted")
        return
    for entry in entries:
        if not excluded(entry.name, search) and not _passes_by(entry, search):
            yield from _entry(Path(folder, entry.name), entry, search, entered)


def _passes_by(entry: os.DirEntry[str], search: Search) -> bool:
    """Whether an entry is left out because it is hidden; if so, it is counted."""
    if search.hidden or not is_hidden(entry.name):
        return False
    if search.passed_by is not None:
        if not entry.is_dir(follow_symlinks=False):
            if wanted(entry.name, search):
                search.passed_by.file()
        elif search.recursive:
            search.passed_by.folder(_count(Path(entry.path), search))
    return True


def _count(folder: Path, search: Search) -> int:
    """How many files of a folder would be wanted, by their names; of very large folders at least so many."""
    count = looked = 0
    for _, _, names in os.walk(folder):
        count += sum(wanted(name, search) and not excluded(name, search) for name in names)
        looked += 1 + len(names)
        if looked > MOST_COUNTED:
            break
    return count


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


def is_hidden(name: str) -> bool:
    """Whether files and folders of this name are none of the user's: hidden ones, thumbnails of a NAS, recycle bins."""
    return (name[:1] == "." and name not in (".", "..")) or name.lower() in _HIDDEN


def is_sorting_log(name: str) -> bool:
    """Whether a file of this name is the log of a sorting run, which stands in the folder that was sorted into."""
    return name.startswith(SORTING_LOG[0]) and name.endswith(SORTING_LOG[1])


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
