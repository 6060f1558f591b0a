"""Sorts image files into accepted/, review/ and rejected/ by their verdicts; nothing is overwritten or deleted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import TracebackType

from ...core.errors import KeepersError, UnreadableImage, WriteFailed, one_line
from ...core.files import stamp
from ...core.paths import inside, numbered
from .act import carry_out, carry_sidecar
from .finish import Finished, finish
from .journal import Action, Journal, Step
from .same import is_one, is_same
from .sidecars import ENDINGS, Sidecar, is_shared, occupied, sidecars

FOLDERS: Mapping[str, str] = {"accept": "accepted", "review": "review", "reject": "rejected"}
"""The folder of each outcome; there are no others, and no name ever comes from a model."""


@dataclass(frozen=True)
class Placed:
    """What became of one file."""

    source: Path
    target: Path
    """Where it, or its copy, lies now."""
    told: str = ""
    """Why a sidecar could not go along; empty when all went well."""
    new: bool = True
    """False when the file was already there."""


class Sorter:
    """Copies, moves or links files into the folders of their verdicts and keeps a log that `undo` reads.

    Sub-folders below the scanned folder are kept; a name that is taken gets a number. Sorting the same file again
    changes nothing; with another verdict, its earlier copy or link moves to the other folder. Sidecars go along under
    the name that their image gets; one that lies at the image's side already stays as it is.
    """

    def __init__(
        self, folder: Path, mode: Action = "copy", *, roots: Sequence[Path] = (), endings: Sequence[str] = ENDINGS
    ) -> None:
        """`roots` are the folders that were scanned; without them all files of a verdict lie side by side.

        `endings` are those of the sidecars: what follows the image's stem or its whole name, such as ".txt".
        """
        self.folder = folder.resolve()
        self.mode: Action = mode
        self.endings = tuple(endings)
        self.journal = Journal.new(self.folder)
        self.finished = Finished()
        """What an earlier run that was killed had begun, and this one ended."""
        self._bases = [*(self.folder / name for name in FOLDERS.values()), *(root.resolve() for root in roots)]

    def __enter__(self) -> Sorter:
        self.finished = finish(self.folder)
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
        if self.mode == "move":
            if half := next((path for path in self._existing(name, source) if is_one(source, path)), None):
                return self._end_move(source, half)
            return self._take(source, name, "move")
        if there := next((path for path in self._existing(name, source) if is_same(source, path)), None):
            return Placed(source, there, self._add_sidecars(source, there), new=False)
        if stray := self._stray(source, relative, verdict):
            moved = self._take(stray, name, "move")
            told = f"{moved.told} {self._add_sidecars(source, moved.target)}".strip()
            return Placed(stray, moved.target, told)
        return self._take(source, name, self.mode)

    def _relative(self, source: Path) -> Path:
        """Relative to its verdict's folder if it is already sorted, else to a scanned folder, else the name alone."""
        base = next((base for base in self._bases if base in source.parents), source.parent)
        return source.relative_to(base)

    def _stray(self, source: Path, relative: Path, verdict: str) -> Path | None:
        """The copy or link that an earlier run with another verdict made."""
        others = (self.folder / other / relative for other in FOLDERS.values() if other != verdict)
        names = (path for other in others for path in self._existing(other, source))
        return next((path for path in names if path != source and is_same(source, path)), None)

    def _existing(self, name: Path, source: Path) -> Iterator[Path]:
        """The name and its numbers, up to the first that is free for the file."""
        beside = sidecars(source, self.endings)
        return takewhile(lambda path: not self._is_free(path, beside), numbered(name, _longer(source, beside)))

    def _is_free(self, name: Path, beside: Sequence[Sidecar]) -> bool:
        """Whether nothing has the name, and no sidecar would wrongly become that of another image.

        An equal sidecar that another image there has already does not count: both share it.
        """
        if os.path.lexists(name):
            return False
        ours = {each.beside(name): each.path for each in beside}
        there = set(occupied(name, self.endings))
        return there <= ours.keys() and all(
            is_shared(path, name, self.endings) == (path in there) and (path not in there or is_same(ours[path], path))
            for path in ours
        )

    def _take(self, source: Path, name: Path, act: Action) -> Placed:
        """Takes one step under the first name that is free for both the image and its sidecars."""
        beside = sidecars(source, self.endings)
        for target in numbered(name, _longer(source, beside)):
            if self._is_free(target, beside):
                with suppress(FileExistsError):
                    return self._step(act, source, target, beside, lambda at=target: carry_out(act, source, at))
        raise AssertionError("numbered() has no end")

    def _end_move(self, source: Path, target: Path) -> Placed:
        """Ends a move that was killed when the file had both names, if no log tells of it."""
        if source.stat().st_nlink < 2:  # one name, seen along two paths
            return Placed(source, target, new=False)
        beside = sidecars(source, self.endings)
        return self._step("move", source, target, beside, lambda: source.unlink() or "")

    def _step(
        self, act: Action, source: Path, target: Path, beside: Sequence[Sidecar], carry: Callable[[], str]
    ) -> Placed:
        """Takes one step and logs it before and after, with the image's sidecars.

        An interrupt leaves it begun: the next run, and `undo`, look at the files.
        """
        begun: list[Step] = []
        told: list[str] = []
        try:
            begun.append(self._begin(act, source, target))
            begun.extend(self._begin_sidecars(act, begun[0], beside, target, told))
            self.journal.sync()
            digest = carry()
        except (KeepersError, OSError):
            for step in begun:
                self.journal.failed(step)
            raise
        self.journal.done(begun[0], stamp(target), digest)
        return Placed(source, target, " ".join([*told, *self._carry(begun[1:])]))

    def _begin(self, act: Action, source: Path, target: Path, image: Step | None = None) -> Step:
        return self.journal.begin(act, source, str(target.relative_to(self.folder)), stamp(source), image)

    def _begin_sidecars(
        self, act: Action, image: Step, beside: Sequence[Sidecar], target: Path, told: list[str]
    ) -> Iterator[Step]:
        for each in beside:
            there = each.beside(target)
            if act != "copy" and each.path.is_symlink():
                told.append(f"{one_line(str(each.path))} is a link, and stays where it is.")
            elif act == "move" and is_shared(each.path, image.source, self.endings):
                if not is_same(each.path, there):
                    yield self._begin("copy", each.path, there, image)
            elif act == "move" or not is_same(each.path, there):
                yield self._begin(act, each.path, there, image)

    def _carry(self, begun: Sequence[Step]) -> Iterator[str]:
        """Takes the steps of sidecars. Gives the reason for each that could not go along; it stays begun."""
        return filter(None, (self._carry_one(step) for step in begun))

    def _carry_one(self, step: Step) -> str:
        try:
            carry_sidecar(self.journal, step, self.folder / step.target)
        except (KeepersError, OSError) as error:
            return f"{one_line(str(step.source))} could not go along: {one_line(str(error))}"
        return ""

    def _add_sidecars(self, source: Path, target: Path) -> str:
        """Takes the sidecars along that an image got after it was sorted."""
        begun: list[Step] = []
        told: list[str] = []
        for each in sidecars(source, self.endings):
            there = each.beside(target)
            if os.path.lexists(there):
                continue
            if is_shared(there, target, self.endings) and not is_shared(each.path, source, self.endings):
                told.append(f"{one_line(str(each.path))} stays: beside the copy it would be another image's too.")
            else:
                begun.append(self._begin(self.mode, each.path, there))
        if begun:
            self.journal.sync()
        return " ".join([*told, *self._carry(begun)])


def _longer(image: Path, beside: Sequence[Sidecar]) -> int:
    """By how many bytes the longest name of its sidecars exceeds the image's."""
    own = len(os.fsencode(image.name))
    return max((len(os.fsencode(each.path.name)) - own for each in beside), default=0)
