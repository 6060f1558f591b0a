"""Takes a sorting run back, step by step, from its log; files changed or moved since are left alone and reported."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KeepersError
from ...core.files import content_hash, copy_whole, move_whole
from ...core.paths import inside
from .journal import Journal, Step, read_journal
from .same import is_same, is_twin
from .sidecars import is_shared


@dataclass(frozen=True)
class Undone:
    """What an undo did."""

    restored: tuple[Path, ...] = ()
    """Files that are back where they were."""
    removed: tuple[Path, ...] = ()
    """Copies and links that are gone; their originals are where they were."""
    left: tuple[tuple[Path, str], ...] = ()
    """Files that stay in the sorted folder, with the reason."""


class _Left(Exception):
    """A step is not taken back; the message says why."""


def undo(log: Path) -> Undone:
    """Takes back all steps of a log that were not taken back yet, the last one first.

    Sidecars follow their image: where it stays, they stay. One that was moved and edited since goes home with it.
    A copy or link is removed only while its original exists and both hold what the run left. Nothing else is ever
    removed except folders that became empty. May be repeated, even after a crash. Raises BadJournal.
    """
    folder = log.parent.resolve()
    steps = read_journal(log)
    images = {step.number: folder / step.target for step in steps}
    stay: set[int | None] = set()
    found: dict[str, list[tuple[Path, str]]] = {"restored": [], "removed": [], "left": [], "": []}
    journal = Journal(folder / log.name)
    try:
        for step in _in_turn(steps):
            if step.beside in stay:
                found["left"].append((folder / step.target, "its image stays here"))
                continue
            image = None if step.beside is None else images.get(step.beside)
            kind, path, reason = _attempt(step, folder, image)
            found[kind].append((path, reason))
            if kind == "left":
                stay.add(step.number)
            else:
                journal.undone(step)
    finally:
        journal.close()
    restored, removed = (tuple(path for path, _ in found[kind]) for kind in ("restored", "removed"))
    return Undone(restored, removed, tuple(found["left"]))


def _in_turn(steps: Sequence[Step]) -> Iterator[Step]:
    """The steps to be taken back: the last image first, each followed by its sidecars."""
    waiting = {step.number: step for step in reversed(steps) if step.state in ("begun", "done")}
    beside: dict[int | None, list[Step]] = {}
    for step in waiting.values():
        beside.setdefault(step.beside, []).append(step)
    for step in waiting.values():
        if step.beside not in waiting:
            yield step
            yield from beside.get(step.number, ())


def _attempt(step: Step, folder: Path, image: Path | None) -> tuple[str, Path, str]:
    """The outcome of a step ("restored", "removed", "left" with its reason, or empty) and the file concerned.

    `image` is the one that a sidecar went with.
    """
    try:
        if (folder / step.target).is_symlink():
            raise _Left("something else is there now")
        target = inside(folder, step.target, native=True)
        taken = _take_back(step, target, image)
        _drop_empty(target.parent, folder)
    except (_Left, KeepersError, OSError) as error:
        return "left", folder / step.target, str(error)
    if not taken:
        return "", target, ""
    return ("restored", step.source, "") if step.act == "move" else ("removed", target, "")


def _take_back(step: Step, target: Path, image: Path | None) -> bool:
    """False when there was nothing to take back. Raises _Left."""
    if target == step.source or target.suffix != step.source.suffix:
        raise _Left("the log does not fit it")
    if not os.path.lexists(target):
        if step.state == "begun" or (step.act != "move" and step.source.exists()) or _is_left(step, step.source):
            return False
        raise _Left("it was moved or removed since")
    if not target.is_file():
        raise _Left("something else is there now")
    if image is not None and step.act == "move" and _has_another_image(target, image):
        _copy_back(step, target)
    else:
        {"move": _move_back, "copy": _remove_copy, "link": _remove_link}[step.act](step, target)
    return True


def _has_another_image(sidecar: Path, image: Path) -> bool:
    whole = sidecar.name.startswith(image.name)
    return is_shared(sidecar, image, [sidecar.name[len(image.name if whole else image.stem) :]])


def _copy_back(step: Step, target: Path) -> None:
    """For a sidecar that an image left in the sorted folder has too."""
    if is_same(target, step.source):
        return
    try:
        copy_whole(target, step.source)
    except FileExistsError as error:
        raise _Left(f"there is another file at {step.source}") from error


def _move_back(step: Step, target: Path) -> None:
    if not os.path.lexists(step.source):
        if step.beside is None and not _is_left(step, target):
            raise _Left("it was changed since")
        try:
            move_whole(target, step.source)
        except FileExistsError as error:
            raise _Left(f"there is another file at {step.source}") from error
    elif step.state == "begun" and is_twin(step.source, target):
        target.unlink()  # the run was killed between the two halves of this move
    else:
        raise _Left(f"there is another file at {step.source}")


def _remove_copy(step: Step, target: Path) -> None:
    if not step.source.is_file():
        raise _Left("it is the only copy: its original is gone")
    if target.samefile(step.source):
        raise _Left("it is the original")
    digest = content_hash(target)
    if step.sha256 and digest != step.sha256:
        raise _Left("it was changed since")
    if content_hash(step.source) != digest:
        raise _Left("its original was changed since")
    target.unlink()


def _remove_link(step: Step, target: Path) -> None:
    if not step.source.is_file() or not is_twin(step.source, target, content=False):
        raise _Left("it is the only name of its file: the original is gone or was replaced")
    target.unlink()


def _is_left(step: Step, path: Path) -> bool:
    """Whether a file is as the run left it."""
    with suppress(OSError):
        found = path.stat()
        return (found.st_size, found.st_mtime_ns) == (step.size, step.mtime_ns)
    return False


def _drop_empty(folder: Path, top: Path) -> None:
    """Removes the folders that sorting made and that are now empty."""
    with suppress(OSError):
        while folder != top and folder.is_relative_to(top):
            folder.rmdir()
            folder = folder.parent
