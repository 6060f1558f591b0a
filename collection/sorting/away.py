"""The files that earlier runs moved into a sorted folder: a scan that goes on still compares with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from ...core.pictures.open import SUFFIXES
from ...core.pictures.walk import Found
from .journal import BadJournal, Step, journals, read_journal


def moved_away(folder: Path, paths: Sequence[Path]) -> dict[str, Found]:
    """The images that lay in the named folders or beside the named files, and are still where they were moved.

    By the path under which they would be scanned if they were still there.
    """
    roots = [(path, path.resolve()) for path in (one if one.is_dir() else one.parent for one in paths)]
    found: dict[str, Found] = {}
    for log in journals(folder):
        with suppress(BadJournal):  # `keepers undo` tells it
            for step in read_journal(log):
                if step.act == "move" and step.beside is None and step.state in ("begun", "done"):
                    found.update(_found(step, folder, roots))
    return found


def _found(step: Step, folder: Path, roots: Sequence[tuple[Path, Path]]) -> Iterator[tuple[str, Found]]:
    target = folder / step.target
    if target.suffix.lower() not in SUFFIXES:
        return
    for root, resolved in roots:
        if resolved in step.source.parents:
            with suppress(OSError, ValueError):
                now = target.stat()
                if (now.st_size, now.st_mtime_ns) == (step.size, step.mtime_ns):
                    yield str(root / step.source.relative_to(resolved)), Found(target, now.st_size, now.st_mtime_ns)
            return
