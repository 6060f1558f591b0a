"""Ends the steps that a killed run had begun, so that no image is without its sidecars."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import KeepersError, OutsideFolder, one_line
from ...core.files import stamp
from ...core.paths import inside
from .act import carry_sidecar
from .journal import BadJournal, Journal, Step, logs, read_journal
from .same import is_one, is_same, is_twin


@dataclass(frozen=True)
class Finished:
    """What was brought to its end."""

    ended: tuple[Path, ...] = ()
    """Where the files lie that now are where they were to go."""
    left: tuple[tuple[Path, str], ...] = ()
    """Sidecars that still could not go along, each with the reason; the next run tries again."""


def finish(folder: Path) -> Finished:
    """Ends what killed runs had begun in a sorted folder.

    An image that is not in its new place stays where it is, with its sidecars: the run that looks at it again sorts
    it anew. Logs that cannot be read are passed over; `undo` says what is wrong with them.
    """
    ended: list[Path] = []
    left: list[tuple[Path, str]] = []
    for log in logs(folder):
        with suppress(BadJournal):
            steps = read_journal(log)
            if any(step.state == "begun" for step in steps):
                _finish(log, steps, ended, left)
    return Finished(tuple(ended), tuple(left))


def _finish(log: Path, steps: Sequence[Step], ended: list[Path], left: list[tuple[Path, str]]) -> None:
    arrived = {step.number for step in steps if step.state == "done"}
    journal = Journal(log)
    try:
        for step in (step for step in steps if step.state == "begun"):
            target, reason = _try(journal, step, step.beside in arrived)
            if target is not None:
                arrived.add(step.number)
                ended.append(target)
            elif reason:
                left.append((step.source, reason))
    finally:
        journal.close()


def _try(journal: Journal, step: Step, with_image: bool) -> tuple[Path | None, str]:
    """Where the file is now, if it is where it was to go; else why not, where that must be told."""
    try:
        if (journal.path.parent / step.target).is_symlink():
            return None, ""  # put there since
        target = inside(journal.path.parent, step.target, native=True)
        return (target, "") if _end(journal, step, target, with_image) else (None, "")
    except OutsideFolder:
        return None, ""  # not ours; `undo` tells
    except (KeepersError, OSError) as error:
        return None, one_line(str(error))


def _end(journal: Journal, step: Step, target: Path, with_image: bool) -> bool:
    """Whether the file is now where it was to go. Raises KeepersError, OSError."""
    if step.beside is not None and not with_image:
        journal.failed(step)
        return False
    if _is_there(step, target):
        journal.done(step, stamp(target))
        return True
    if step.beside is not None and step.source.is_file():
        carry_sidecar(journal, step, target)
        return True
    if not os.path.lexists(target):
        journal.failed(step)
    return step.act == "move" and target.is_file() and not os.path.lexists(step.source)  # moved, and edited since


def _is_there(step: Step, target: Path) -> bool:
    """Whether a begun step had come to its end; a move also if the file still had both names."""
    if not target.is_file():
        return False
    if step.act == "link":
        return is_one(step.source, target)
    if step.act == "copy":
        return is_same(step.source, target)
    if not os.path.lexists(step.source):
        return (step.size, step.mtime_ns) == stamp(target)[:2]
    if not is_twin(step.source, target):
        return False
    step.source.unlink()
    return True
