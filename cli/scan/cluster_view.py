"""What a person sees while a cluster scans, and the final account of every input."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from ..console import console
from ..exit_codes import escaped
from .view import coloured, duration

if TYPE_CHECKING:
    from ...cluster.running.connect import ClusterNode
    from ...cluster.running.job import Finished
    from ...cluster.running.pools import Pools

PHASES = {
    "models": "loading and trying the models",
    "listing": "listing the inputs",
    "scanning": "scanning",
    "alone": "looking again, one by one, at images whose workers died",
    "near-duplicates": "looking for near-duplicates",
    "accounting": "accounting",
}
WINDOW = 200
"""Seconds over which the rate is averaged: files are written in bursts."""


class ClusterView:
    """One progress bar for the whole job; on a plain stream, a line for each phase and each twentieth of the work."""

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._started = self._scanning = monotonic()
        self._scanned = 0.0
        self._counts: Counter[str] = Counter()
        self._todo = self._told = 0
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
        )
        self._bar = Progress(
            *columns,
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            speed_estimate_period=WINDOW,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task("starting Ray", total=None, rate="")

    def __enter__(self) -> ClusterView:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def stop(self) -> None:
        """Remove the bar."""
        self._bar.stop()

    def connected(self, nodes: Sequence[ClusterNode], address: str) -> None:
        """The cluster is ready."""
        cpus, gpus = sum(node.cpus for node in nodes), sum(node.gpus for node in nodes)
        cards = f", {gpus:g} GPUs" if gpus else ""
        where = f"{len(nodes)} machines, {cpus:g} processors{cards}" if address else "on this machine"
        self._say(f"Ray: {where}, ready after {duration(monotonic() - self._started)}")

    def phase(self, what: str) -> None:
        """A phase begins."""
        if what != "scanning" and self._todo and not self._scanned:
            self._scanned = monotonic() - self._scanning
        self._scanning = monotonic() if what == "scanning" else self._scanning
        self._bar.update(self._task, description=PHASES[what])
        if not console.is_terminal:
            self._say(PHASES[what])

    def listed(self, count: int) -> None:
        """This many inputs were found so far."""
        self._bar.update(self._task, completed=count)

    def passed_by(self, told: str) -> None:
        """Some files were left out because they are hidden."""
        self._say(f"{told}; --hidden takes them")

    def begin(self, todo: int, skipped: int, pools: Pools) -> None:
        """This many will be looked at."""
        self._todo = todo
        self._bar.reset(self._task, total=todo, rate="", description=PHASES["scanning"])
        workers = f"up to {pools.looks} to decode, {pools.actors} for each net" if todo else "none needed"
        self._say(f"scan {todo:,}, skip {skipped:,}; workers: {workers}")

    def done(self, counts: Mapping[str, int]) -> None:
        """These results were written."""
        self._counts.update({name: int(count) for name, count in counts.items()})
        done = self._counts.total()
        rate = done / max(monotonic() - self._scanning, 0.01)
        self._bar.update(self._task, completed=done, rate=f"{rate:.1f}/s")
        step = 20 * done // max(self._todo, 1)
        if not console.is_terminal and step > self._told:
            self._told = step
            left = duration((self._todo - done) / max(rate, 1e-6))
            self._say(f"{done:,} of {self._todo:,}, {rate:.1f} a second, {left} left")

    def _say(self, text: str) -> None:
        if not self._quiet:
            self._bar.console.print(text)

    def summary(self, finished: Finished, out: str) -> None:
        """What became of every input."""
        counts, seconds = finished.counts, monotonic() - self._started
        rate = f", {self._todo / self._scanned:.1f} a second while scanning" if self._todo and self._scanned > 1 else ""
        console.print(f"[bold]{counts.listed:,} listed[/] in {duration(seconds)}{rate}")
        for outcome in ("accept", "review", "reject"):
            count = getattr(counts, outcome)
            share = f"{count / self._todo:6.1%}" if self._todo else ""
            console.print(f"  {coloured(outcome)}  {count:>10,}  {share}")
        if counts.unjudged:
            console.print(f"  of these, {counts.unjudged:,} could not be judged and are in review (column unjudged)")
        for name, count in (("error", counts.error), ("skipped", counts.skipped)):
            console.print(f"  {name:<7} {count:>10,}")
        self._more(finished)
        console.print(f"results: {escaped(out)}", soft_wrap=True)

    def _more(self, finished: Finished) -> None:
        counts = finished.counts
        if counts.duplicates:
            console.print(f"  near-duplicates of a better image: {counts.duplicates:,} (column duplicate_of)")
        if counts.captions:
            console.print(f"  with a caption: {counts.captions:,}")
        if counts.failed:
            console.print(f"  not judged by one of the models: {counts.failed:,} (column failures)")
        if counts.error:
            console.print("  errors could not be read, so their verdict is review (column error)")
        for line in finished.strayed:
            console.print(f"[yellow]{escaped(line)}[/]", soft_wrap=True)
        if counts.unsure:
            console.print(
                f"[yellow]{counts.unsure:,} were judged by such numbers, and may be wrong (column unsure):[/] run the "
                "same command again to judge them anew",
                soft_wrap=True,
            )
        for name in finished.damaged:
            console.print(f"[yellow]{escaped(name)} could not be read: set aside, its images were looked at again[/]")
        if counts.missing:
            console.print(f"[bold red]{counts.missing:,} inputs are not accounted for[/]: run the same command again")
