"""One step of a sorting run, carried out and noted."""

from __future__ import annotations

from pathlib import Path

from ...core.files import copy_whole, link_whole, move_whole, stamp
from .journal import Action, Journal, Step
from .same import is_twin


def carry_out(act: Action, source: Path, target: Path) -> str:
    """Copies, moves or links a file to a name that must be free; returns the sha256 of a copy, else nothing.

    Raises FileExistsError, WriteFailed, UnreadableImage; the file is then still whole in its old place.
    """
    if act == "copy":
        return copy_whole(source, target)
    (move_whole if act == "move" else link_whole)(source, target)
    return ""


def carry_sidecar(journal: Journal, step: Step, target: Path) -> None:
    """Takes the step of a sidecar and notes it. One that moves to where its twin lies already only leaves its place.

    Raises as `carry_out` does, and OSError.
    """
    digest = ""
    if step.act == "move" and target.is_file() and is_twin(step.source, target):
        step.source.unlink()
    else:
        digest = carry_out(step.act, step.source, target)
    journal.done(step, stamp(target), digest)
