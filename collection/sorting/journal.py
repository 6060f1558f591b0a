"""The log of a sorting run: each step is written down before it is taken, so that it can be undone after any crash.

One JSON object per line, all ASCII; a name that is not UTF-8 keeps its bytes as surrogate escapes:
    {"keepers_sort": 1, "folder": "/pictures/sorted"}
    {"do": 0, "act": "move", "from": "/pictures/a.png", "to": "accepted/a.png", "size": 81, "mtime_ns": 17}
    {"do": 1, "act": "move", "from": "/pictures/a.txt", "to": "accepted/a.txt", "size": 9, "mtime_ns": 12, "beside": 0}
    {"done": 0, "size": 81, "mtime_ns": 17, "sha256": ""}
    {"failed": 1}    {"undone": 0}
An image's sidecars are written down with it, before any of them is touched.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from ...core.errors import KeepersError, WriteFailed, one_line
from ...core.files import Stamp
from ...core.pictures.walk import SORTING_LOG, is_sorting_log

Action = Literal["copy", "move", "link"]
ACTIONS: tuple[Action, ...] = ("copy", "move", "link")
State = Literal["begun", "done", "failed", "undone"]

_VERSION = 1


class BadJournal(KeepersError):
    """The file is not the log of a sorting run, or it is the log of another folder."""

    code = "bad_journal"


@dataclass(frozen=True)
class Step:
    """One file of a sorting run."""

    number: int
    act: Action
    source: Path
    """Where it was, absolute."""
    target: str
    """Where it went, relative to the sorted folder."""
    size: int
    mtime_ns: int
    sha256: str = ""
    """The hash of what was written, for a copy."""
    state: State = "begun"
    """"begun" after a crash: only the files show whether it was finished."""
    beside: int | None = None
    """The number of the step of the image that this file, a sidecar, goes with."""


class Journal:
    """Appends to the log; each line reaches the operating system before the call returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = -1
        self._headed = False
        self._count = 0

    @classmethod
    def new(cls, folder: Path) -> Journal:
        """A log with a name of its own in the folder; the file is created with its first line."""
        seconds, rest = divmod(time.time_ns(), 1_000_000_000)
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(seconds))
        return cls(folder / f"{SORTING_LOG[0]}{stamp}-{rest:09}-{secrets.token_hex(2)}{SORTING_LOG[1]}")

    def begin(self, act: Action, source: Path, target: str, before: Stamp, beside: Step | None = None) -> Step:
        """Records a step that is about to be taken; `beside` is the image's, for a sidecar. Raises WriteFailed.

        Call `sync` before taking it.
        """
        if not self._headed:
            self._write({"keepers_sort": _VERSION, "folder": str(self.path.parent.resolve())})
            self._headed = True
        image = None if beside is None else beside.number
        step = Step(self._count, act, source, target, before.size, before.mtime_ns, beside=image)
        self._count += 1
        names = {"do": step.number, "act": act, "from": str(source), "to": target}
        with_image = {} if image is None else {"beside": image}
        self._write({**names, "size": before.size, "mtime_ns": before.mtime_ns, **with_image})
        return step

    def sync(self) -> None:
        """Makes what was recorded safe from a power cut. Raises WriteFailed."""
        try:
            os.fsync(self._handle)
        except OSError as error:
            raise WriteFailed(self.path, error) from error

    def done(self, step: Step, after: Stamp, sha256: str = "") -> None:
        """Notes that a step was taken. If the note cannot be written, nothing is lost: the files show it."""
        with suppress(WriteFailed):
            self._write({"done": step.number, "size": after.size, "mtime_ns": after.mtime_ns, "sha256": sha256})

    def failed(self, step: Step) -> None:
        """Notes that a step was not taken."""
        with suppress(WriteFailed):
            self._write({"failed": step.number})

    def undone(self, step: Step) -> None:
        """Notes that a step was taken back."""
        with suppress(WriteFailed):
            self._write({"undone": step.number})

    def close(self) -> None:
        """Closes the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _write(self, entry: dict[str, Any]) -> None:
        # Each line also begins with a line break, so that a line cut off by a full disk does not spoil the next.
        line = f"\n{json.dumps(entry)}\n".encode("ascii")
        try:
            if self._handle < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = (
                    os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
                )
                self._handle = os.open(self.path, flags, 0o666)
            while line:
                line = line[os.write(self._handle, line) :]
        except OSError as error:
            raise WriteFailed(self.path, error) from error


def logs(folder: Path) -> list[Path]:
    """The logs in a sorted folder, oldest first."""
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in paths if is_sorting_log(path.name)]


def journals(folder: Path) -> list[Path]:
    """The logs in a sorted folder that still hold something to take back, oldest first."""
    return [path for path in logs(folder) if _is_open(path)]


def _is_open(path: Path) -> bool:
    """A damaged log counts: `read_journal` says what is wrong with it."""
    try:
        return any(step.state in ("begun", "done") for step in read_journal(path))
    except BadJournal:
        return True


def read_journal(path: Path) -> list[Step]:
    """The steps of a log in the order in which they were taken, each in the state it was left in.

    Raises BadJournal if the file is not a log, or lies in another folder than the one it was written for.
    """
    lines = _lines(path)
    head = next(lines, cast(dict[str, Any], {}))
    if head.get("keepers_sort") != _VERSION:
        raise BadJournal(f"{one_line(str(path))} is not a log of `keepers scan --sort`.")
    if head.get("folder") != str(path.parent.resolve()):
        where = one_line(str(head.get("folder")))
        raise BadJournal(f"{one_line(str(path))} was written in {where}. Move the folder back there to undo.")
    steps: dict[int, Step] = {}
    for line in lines:
        _apply(steps, line)
    return [steps[number] for number in sorted(steps)]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_text("ascii", "replace")
    except OSError as error:
        raise BadJournal(f"{one_line(str(path))} cannot be read: {error.strerror}.") from error
    for line in text.splitlines():
        with suppress(ValueError, RecursionError):  # a line torn by a crash or a full disk
            entry: object = json.loads(line)
            if isinstance(entry, dict):
                yield cast(dict[str, Any], entry)


def _apply(steps: dict[int, Step], line: dict[str, Any]) -> None:
    with suppress(KeyError, TypeError, ValueError):  # a line that is not ours changes nothing
        if "do" in line:
            source, numbers = Path(line["from"]), (int(line["do"]), int(line["size"]), int(line["mtime_ns"]))
            beside = line["beside"] if isinstance(line.get("beside"), int) else None
            if line["act"] in ACTIONS and source.is_absolute() and isinstance(line["to"], str):
                steps[numbers[0]] = Step(numbers[0], line["act"], source, line["to"], *numbers[1:], beside=beside)
        elif "done" in line:
            done = replace(steps[line["done"]], size=line["size"], mtime_ns=line["mtime_ns"])
            steps[done.number] = replace(done, sha256=str(line["sha256"]), state="done")
        elif "failed" in line:
            steps[line["failed"]] = replace(steps[line["failed"]], state="failed")
        elif "undone" in line:
            steps[line["undone"]] = replace(steps[line["undone"]], state="undone")
