"""Sorts image files into accepted/, review/ and rejected/ by their verdicts; nothing is overwritten or deleted."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import TracebackType

from ...core.errors import KeepersError, UnreadableImage, WriteFailed
from ...core.files import content_hash, copy_whole, link_whole, move_whole, stamp
from ...core.paths import inside, numbered, under_free_name
from .journal import Action, Journal

FOLDERS: Mapping[str, str] = {"accept": "accepted", "review": "review", "reject": "rejected"}
"""The folder of each outcome; there are no others, and no name ever comes from a model."""


@dataclass(frozen=True)
class Placed:
    """What became of one file."""

    source: Path
    target: Path
    """Where it, or its copy, lies now."""
    told: str = ""
    """What a user should know, such as a sidecar that could not go along; empty when all went well."""
    new: bool = True
    """False when the file was already there."""


class Sorter:
    """Copies, moves or links files into the folders of their verdicts and keeps a log that `undo` reads.

    Sub-folders below the scanned folder are kept; a name that is taken gets a number. Sorting the same file again
    changes nothing; with another verdict, its earlier copy or link moves to the other folder.
    """

    def __init__(
        self, folder: Path, mode: Action = "copy", *, roots: Sequence[Path] = (), sidecars: Sequence[str] = ()
    ) -> None:
        """`roots` are the folders that were scanned; without them all files of a verdict lie side by side.

        `sidecars` are the suffixes of files with the image's stem that go with it, such as ".txt".
        """
        self.folder = folder.resolve()
        self.mode: Action = mode
        self.sidecars = tuple(sidecars)
        self.journal = Journal.new(self.folder)
        self._bases = [*(self.folder / name for name in FOLDERS.values()), *(root.resolve() for root in roots)]

    def __enter__(self) -> Sorter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.journal.close()

    def place(self, path: Path, outcome: str) -> Placed:
        """Puts one file where its verdict ("accept", "review", "reject") says.

        Raises UnreadableImage, WriteFailed or OutsideFolder; the file is then still whole in its old place.
        """
        source = path.parent.resolve() / path.name  # a link as the last part stays a link
        verdict = FOLDERS[outcome]
        try:
            return self._place(source, verdict)
        except OSError as error:
            raise WriteFailed(source, error) from error

    def _place(self, source: Path, verdict: str) -> Placed:
        if self.mode != "copy" and source.is_symlink():
            raise UnreadableImage(source, "not_a_file", "is a link; only a copy of what it points to can be sorted")
        stamp(source)
        relative = self._relative(source)
        name = inside(self.folder, f"{verdict}/{relative}", native=True)
        if source == name:
            return Placed(source, source, new=False)
        act = self.mode
        if act == "move":
            if half := next((path for path in _existing(name) if _is_one(source, path)), None):
                return self._finish(source, half)
        elif there := next((path for path in _existing(name) if _same(source, path)), None):
            return Placed(source, there, new=False)
        elif stray := self._stray(source, relative, verdict):
            source, act = stray, "move"
        target = self._take(source, name, act)
        return Placed(source, target, self._take_sidecars(source, target, act))

    def _relative(self, source: Path) -> Path:
        """Relative to its verdict's folder if it is already sorted, else to a scanned folder, else the name alone."""
        base = next((base for base in self._bases if base in source.parents), source.parent)
        return source.relative_to(base)

    def _stray(self, source: Path, relative: Path, verdict: str) -> Path | None:
        """The copy or link that an earlier run with another verdict made."""
        others = (self.folder / other / relative for other in FOLDERS.values() if other != verdict)
        return next((path for path in others if path != source and _same(source, path)), None)

    def _take(self, source: Path, name: Path, act: Action) -> Path:
        """Takes one step under the first name that is free for both the image and its sidecars."""
        return under_free_name(name, lambda target: self._step(act, source, target), self.sidecars)

    def _step(self, act: Action, source: Path, target: Path) -> None:
        """Takes one step and logs it before and after. An interrupt leaves it begun: `undo` looks at the files."""
        step = self.journal.begin(act, source, str(target.relative_to(self.folder)), stamp(source))
        try:
            digest = _act(act, source, target)
        except (KeepersError, OSError):
            self.journal.failed(step)
            raise
        self.journal.done(step, stamp(target), digest)

    def _finish(self, source: Path, target: Path) -> Placed:
        """Ends a move that was killed when the file had both names."""
        if source.stat().st_nlink < 2:  # one name, seen along two paths
            return Placed(source, target, new=False)
        step = self.journal.begin("move", source, str(target.relative_to(self.folder)), stamp(source))
        source.unlink()
        self.journal.done(step, stamp(target))
        return Placed(source, target, self._take_sidecars(source, target, "move"))

    def _take_sidecars(self, source: Path, target: Path, act: Action) -> str:
        told: list[str] = []
        for suffix in self.sidecars:
            beside = source.with_suffix(suffix)
            if beside != source and beside.is_file() and not beside.is_symlink():
                try:
                    self._step(act, beside, target.with_suffix(suffix))
                except (KeepersError, OSError) as error:
                    told.append(str(error))
        return " ".join(told)


def _act(act: Action, source: Path, target: Path) -> str:
    if act == "copy":
        return copy_whole(source, target)
    (move_whole if act == "move" else link_whole)(source, target)
    return ""


def _existing(name: Path) -> Iterator[Path]:
    """The name and its numbers, up to the first that is free."""
    return takewhile(os.path.lexists, numbered(name))


def _same(source: Path, other: Path) -> bool:
    """Whether another regular file has the same content."""
    with suppress(OSError, UnreadableImage):
        if other.is_symlink() or not other.is_file():
            return False
        if _is_one(source, other):
            return True
        return source.stat().st_size == other.stat().st_size and content_hash(source) == content_hash(other)
    return False


def _is_one(source: Path, other: Path) -> bool:
    """Whether two names belong to one file; a symbolic link does not count."""
    with suppress(OSError):
        return not other.is_symlink() and source.samefile(other)
    return False
