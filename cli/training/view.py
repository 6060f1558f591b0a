"""What `keepers train` shows while it works, and how it is stopped."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import BarColumn, Progress, TextColumn

from ...core.errors import Cancelled
from .. import exit_codes
from ..console import console

if TYPE_CHECKING:
    from ...train.realism.loop import Progress as At
    from ...train.realism.run import PreparedTraining


@contextmanager
def stoppable() -> Iterator[Callable[[], None]]:
    """Yields the check to call between steps; after Ctrl-C it raises Cancelled. A second Ctrl-C stops at once."""
    pressed: list[int] = []

    def remember(number: int, _frame: object) -> None:
        if pressed:
            raise KeyboardInterrupt
        pressed.append(number)
        console.print("Stopping after this step …")

    def ask() -> None:
        if pressed:
            raise Cancelled("Stopped. The same command goes on from here.")

    before = signal.signal(signal.SIGINT, remember)
    try:
        yield ask
    finally:
        signal.signal(signal.SIGINT, before)


class View:
    """The progress on the terminal."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[note]}"))
        self._bar = Progress(*columns, console=console, transient=True)
        self._task = self._bar.add_task("reading", total=None, note="")

    def __enter__(self) -> View:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        console.print(exit_codes.escaped(text))

    def reading(self, done: int, total: int) -> None:
        """Images are being read."""
        self._stop()
        self._bar.update(self._task, description="reading", completed=done, total=total, note=f"{done:,} of {total:,}")

    def features(self, done: int, total: int) -> None:
        """Features are being computed."""
        self._stop()
        self._bar.update(self._task, description="features", completed=done, total=total, note=f"{done:,} of {total:,}")

    def training(self, at: At, share: float) -> None:
        """A step was done."""
        self._stop()
        of = f" on {share:.0%}" if share < 1 else ""
        left = f"{at.seconds_left / 60:.0f} min" if at.seconds_left >= 90 else f"{at.seconds_left:.0f} s"
        note = f"loss {at.loss:.4f}, {at.accuracy:.1%} right, at most {left} left"
        done, total = (at.epoch - 1) * at.steps + at.step, at.epochs * at.steps
        name = f"epoch {at.epoch} of {at.epochs}{of}"
        self._bar.update(self._task, description=name, completed=done, total=total, note=note)

    def show_prepared(self, prepared: PreparedTraining) -> None:
        """Print what was read and any warnings."""
        found, parts = prepared.pictures.collected, prepared.split
        counts = ", ".join(f"{name} {count:,}" for name, count in zip(found.classes, found.counts(), strict=True))
        self.say(
            f"{counts}; train {len(parts.train):,}, validation {len(parts.validation):,}, test {len(parts.test):,}"
        )
        for path, reason in found.unread[:10]:
            console.print(f"[red]not read[/] {exit_codes.escaped(str(path))}: {exit_codes.escaped(reason)}")
        if len(found.unread) > 10:
            console.print(f"… and {len(found.unread) - 10:,} more files could not be read.")
        for warning in prepared.warnings:
            console.print(f"[yellow]beware[/] {exit_codes.escaped(warning)}")
