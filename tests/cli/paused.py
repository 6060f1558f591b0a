"""The command, paused at a chosen point of its work so that a test can kill it exactly there.

python -m keepers.tests.cli.paused POINT NUMBER ARGUMENTS…

When the point is reached for the NUMBERth time, a line of JSON says how often each point was passed, and all stands
still. Points: "storing", before a window's results are committed; "stored", after that; "begun", when a step of the
sorting is in its log; "half", when a file is copied but not named, or moved but not yet gone from its old place;
"taken", when the file is in its new place and the log does not say so yet; "done", when it does.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from sqlite3 import Connection
from typing import Any

from keepers.__main__ import main
from keepers.collection.sorting import act
from keepers.collection.sorting.journal import Journal
from keepers.collection.store import Store
from keepers.core import files

POINTS = ("storing", "stored", "begun", "half", "taken", "done")

passed: Counter[str] = Counter()


def reached(point: str, wanted: tuple[str, int]) -> None:
    """Counts a point, and pauses at the wanted one."""
    passed[point] += 1
    if (point, passed[point]) == wanted:
        print(json.dumps(passed), flush=True)
        while True:
            signal.pause()


def after(point: str, work: Callable[..., Any], wanted: tuple[str, int]) -> Callable[..., Any]:
    """The work, followed by a point."""

    def call(*arguments: Any, **options: Any) -> Any:
        result = work(*arguments, **options)
        reached(point, wanted)
        return result

    return call


def before(point: str, work: Callable[..., Any], wanted: tuple[str, int]) -> Callable[..., Any]:
    """The work, preceded by a point."""

    def call(*arguments: Any, **options: Any) -> Any:
        reached(point, wanted)
        return work(*arguments, **options)

    return call


def pause_at(wanted: tuple[str, int]) -> None:
    """Sets all points."""
    writing = Store.writing

    @contextmanager
    def slowly(self: Store) -> Generator[Connection]:
        with writing(self) as connection:
            yield connection
            reached("storing", wanted)

    Store.writing = slowly
    Store.add = after("stored", Store.add, wanted)
    Journal.begin = after("begun", Journal.begin, wanted)
    Journal.done = after("done", Journal.done, wanted)
    for name in ("copy_whole", "move_whole"):
        setattr(act, name, after("taken", getattr(act, name), wanted))
    for name in ("_publish", "_remove_or_take_back"):
        setattr(files, name, before("half", getattr(files, name), wanted))


if __name__ == "__main__":
    point, number, *arguments = sys.argv[1:]
    pause_at((point, int(number)))
    sys.argv = ["keepers", *arguments]
    main()
