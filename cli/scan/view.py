"""What a person sees while a scan runs, and the summary at its end."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from rich.console import Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ...collection.scan import Scanned
from ...collection.sorting.finish import Finished
from ...core.errors import one_line
from ...core.pictures.walk import PassedOver
from ...core.prediction import twins_of
from ..console import console
from ..exit_codes import escaped
from ..not_judged import NotJudged
from ..noted import Noted

COLOURS = {"accept": "green", "review": "yellow", "reject": "red", "error": "magenta"}
LATEST = 8
"""Rows of the live table."""
LISTED = 20
"""Files with a problem that the summary names; the rest is counted."""


class ScanView:
    """A live table of the latest images over a progress bar; on a plain stream, a line for each image not accepted."""

    def __init__(self, total: int, *, quiet: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self.unread: list[tuple[str, str, str]] = []
        """Path, code and reason of each file that could not be read."""
        self.not_sorted: list[tuple[str, str]] = []
        """Path and reason of each file that was left where it was."""
        self.not_along = 0
        """Images that were sorted without one of their sidecars."""
        self.not_judged = NotJudged()
        self.noted = Noted()
        self.stayed = 0
        """Files that a move left where they are because nobody judged them."""
        self.duplicates = 0
        """How many images have a better one that looks the same."""
        self._known = 0
        self._latest: deque[Scanned] = deque(maxlen=LATEST)
        self._started = time.monotonic()
        self._quiet = quiet
        self._live: Live | None = None
        self._progress = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
        )
        self._task = self._progress.add_task("scan", total=total, rate="")

    def __enter__(self) -> ScanView:
        if console.is_terminal and not self._quiet:
            self._live = Live(self._page(), console=console, refresh_per_second=4, transient=True)
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Seconds since the view was made."""
        return time.monotonic() - self._started

    def grow(self, more: int) -> None:
        """Expect more files: what `--watch` finds."""
        task = self._progress.tasks[0]
        self._progress.update(self._task, total=(task.total or 0) + more)

    def passed_over(self, entry: PassedOver) -> None:
        """Count and report a path that was not looked at."""
        self.unread.append((str(entry.path), entry.code, entry.reason))
        self._say(f"[magenta]passed over[/] {escaped(str(entry.path))}: {escaped(entry.reason)}")

    def left(self, path: Path, reason: str) -> None:
        """Count and report a file that could not be sorted."""
        self.not_sorted.append((str(path), reason))
        self._say(f"[magenta]not sorted[/] {escaped(str(path))}: {escaped(reason)}")

    def parted(self, path: Path, reason: str) -> None:
        """Count and report an image that was sorted without one of its sidecars."""
        self.not_along += 1
        self._say(f"[magenta]sorted alone[/] {escaped(str(path))}: {escaped(reason)}")

    def finished(self, finished: Finished) -> None:
        """Report what an interrupted sorting had begun, and this one ended."""
        if finished.ended:
            self._say(f"ended what an interrupted sorting had begun: {len(finished.ended):,} files")
        for path, reason in finished.left:
            self.parted(path, reason)

    def looking(self, done: int, total: int) -> None:
        """Show how many files were looked at for near-duplicates, before there are results."""
        if self._live:
            self._progress.update(self._task, rate=f"looking at {done:,} of {total:,} for near-duplicates")
            self._live.update(self._page())

    def add(self, result: Scanned) -> None:
        """Count and show one image."""
        outcome, telling = result.verdict.outcome, not result.known
        self.counts["error" if result.error else outcome] += 1
        self._known += result.known
        self.noted.add(() if result.error else result.image.notes)
        self.duplicates += bool(twins_of(result.answers).kept)
        if result.error:
            self.unread.append((str(result.path), result.error, _why(result)))
        elif not result.verdict.judged:
            telling = self.not_judged.add(result.verdict)
        self._latest.append(result)
        self._progress.update(
            self._task, advance=1, rate=f"{sum(self.counts.values()) / max(self.seconds, 0.01):.1f}/s"
        )
        if self._live:
            self._live.update(self._page())
        elif outcome != "accept" and telling:
            self._say(f"{coloured(outcome)} {escaped(str(result.path))}: {_reason(result)}")

    def _say(self, text: str) -> None:
        if not self._quiet:
            console.print(text, soft_wrap=True)

    def _page(self) -> RenderableType:
        table = Table(expand=True, box=None, show_header=False)
        table.add_column(width=7)
        table.add_column(ratio=2, no_wrap=True, overflow="ellipsis")
        table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
        for result in self._latest:
            table.add_row(coloured(result.verdict.outcome), escaped(result.path.name), _reason(result))
        return Group(table, self._progress)

    def _show_duplicates(self) -> None:
        if self.duplicates:
            are = "is a near-duplicate" if self.duplicates == 1 else "are near-duplicates"
            console.print(f"  {self.duplicates:,} {are} of a better image")

    def summary(self, taken_back: Sequence[Path] = ()) -> None:
        """What became of all images; every file is accounted for.

        `taken_back`: images judged before fast numbers turned out to be further off than stated.
        """
        total = sum(self.counts.values())
        seconds = self.seconds
        rate = f", {total / seconds:.1f} a second" if seconds > 1 else ""
        known = f" ({self._known:,} known from earlier scans)" if self._known else ""
        console.print(f"[bold]{total:,} images[/]{known} in {duration(seconds)}{rate}")
        for outcome in ("accept", "review", "reject", *(["error"] if self.counts["error"] else [])):
            count = self.counts[outcome]
            share = f"{count / total:6.1%}" if total else ""
            console.print(f"  {coloured(outcome)}  {count:>8,}  {share}")
        self._show_duplicates()
        self.not_judged.show()
        self.noted.show()
        if self.stayed:
            console.print(f"  {self.stayed:,} lie where they were: what nobody judged is not moved")
        if taken_back:
            console.print(
                f"  [yellow]{len(taken_back):,} were judged before a fast number was found to be further off than "
                "stated, and may be wrong:[/] scan again to judge them, or with --precision exact",
                soft_wrap=True,
            )
            for path in taken_back[:LISTED]:
                console.print(f"    {escaped(str(path))}", soft_wrap=True)
        if self.not_sorted:
            console.print(f"  {len(self.not_sorted):,} could not be sorted and lie where they were")
        if self.not_along:
            console.print(f"  {self.not_along:,} were sorted without one of their sidecars")
        if self.unread:
            console.print(f"  {len(self.unread):,} could not be read:")
            for path, code, reason in self.unread[:LISTED]:
                console.print(f"    {escaped(path)}: {escaped(reason)} [dim]({code})[/]", soft_wrap=True)
            if len(self.unread) > LISTED:
                console.print(f"    and {len(self.unread) - LISTED:,} more; --jsonl lists them all")


def coloured(outcome: str) -> str:
    """An outcome in its colour, padded to the widest."""
    return f"[{COLOURS[outcome]}]{outcome}[/]" + " " * (6 - len(outcome))


def _reason(result: Scanned) -> str:
    return escaped(_why(result))


def _why(result: Scanned) -> str:
    """The reason without the outcome and the path, which are shown beside it."""
    reason = result.verdict.reason.removeprefix(f"{result.verdict.outcome}: ")
    return reason.removeprefix(f"{one_line(str(result.path))}: ")


def duration(seconds: float) -> str:
    """A time as a person would say it."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
