"""What a person sees while captioning: differences, problems and the summary."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ...core.captions.files import Written
from ...core.captions.journal import Undone
from ...core.gates.gate import Verdict
from ..console import console
from ..exit_codes import escaped
from ..not_judged import NotJudged

LISTED = 20
"""Files with a problem that the summary names; the rest is counted."""

_COUNTS = {
    "new": "new captions",
    "changed": "captions changed",
    "kept": "had a caption already",
    "generation": "have generation data in that file, which was left as it is (--extension .caption gives another)",
    "empty": "had nothing to say (empty caption)",
    "missing": "lacked a required tag",
    "reject": "rejected by the gate, without caption",
    "review": "left to review by the gate, without caption",
}


class CaptionView:
    """Counts what becomes of every image; on a terminal with a progress bar."""

    def __init__(self, total: int, *, dry: bool, quiet: bool) -> None:
        self.problems: list[tuple[Path, str, str]] = []
        """Path, code and reason of each image that should have a caption but got none."""
        self.not_embedded: list[tuple[Path, str]] = []
        """Path and reason of each image whose metadata could not take its caption."""
        self.counts: Counter[str] = Counter()
        self.not_judged = NotJudged()
        self._untagged = 0
        self._dry, self._quiet = dry, quiet
        columns = (TextColumn("{task.percentage:>3.0f}%"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=console, transient=True)
        self._progress.add_task("captions", total=total)

    def __enter__(self) -> CaptionView:
        if console.is_terminal and not self._quiet:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def wrote(self, written: Written, notes: tuple[str, ...], tags: int) -> None:
        """Count and show one caption."""
        self._advance(written.what)
        self._untagged += written.what in ("new", "changed") and not tags
        if written.not_embedded:
            self.not_embedded.append((written.image, written.not_embedded))
        for note in notes:
            self._say(f"[yellow]{_path(written.change.path)}[/]: {escaped(note)}")
        if self._dry and written.what in ("new", "changed"):
            self._difference(written)

    def turned_away(self, path: Path, verdict: Verdict) -> None:
        """Count an image that the gate did not accept, apart if the gate could not judge it."""
        fresh, outcome = self.not_judged.add(verdict), verdict.outcome
        self._advance(outcome)
        if verdict.judged or fresh:
            self._say(f"[dim]{outcome} {_path(path)}: {escaped(verdict.reason.removeprefix(f'{outcome}: '))}[/]")

    def failed(self, path: Path, code: str, reason: str) -> None:
        """Count an image that should have a caption but got none."""
        self._advance("problem")
        self.problems.append((path, code, reason.removeprefix("review: ").removeprefix(f"{path}: ")))

    def _advance(self, what: str) -> None:
        self.counts[what] += 1
        self._progress.update(self._progress.task_ids[0], advance=1)

    def _difference(self, written: Written) -> None:
        change = written.change
        console.print(f"[bold]{_path(change.path)}[/]{' (new)' if change.before is None else ''}", soft_wrap=True)
        for line in change.old.splitlines():
            console.print(f"  [red]- {escaped(line)}[/]", soft_wrap=True)
        for line in change.after.splitlines():
            console.print(f"  [green]+ {escaped(line)}[/]", soft_wrap=True)

    def _say(self, text: str) -> None:
        if not self._quiet:
            console.print(text, soft_wrap=True)

    def summary(self) -> None:
        """What became of all images; each counts in exactly one line."""
        total = sum(self.counts.values())
        console.print(f"[bold]{total:,} images[/]{' (dry run: nothing was written)' if self._dry else ''}")
        for what, text in _COUNTS.items():
            if self.counts[what]:
                console.print(f"  {self.counts[what]:>8,}  {text}")
        self.not_judged.show("could not be judged by the gate")
        if self._untagged:
            console.print(
                f"  of the new and changed captions {self._untagged:,} have no tag, only fixed words or prompt"
            )
        _list("got none, because:", [(path, f"{reason} ({code})") for path, code, reason in self.problems])
        _list("could not take the caption into their metadata:", self.not_embedded)


def show_undone(done: Undone) -> None:
    """Print what an undo did."""
    if not (done.restored or done.removed or done.left):
        console.print("There is nothing to take back here.")
        return
    console.print(f"taken back: {len(done.removed):,} new files removed, {len(done.restored):,} restored")
    for path, reason in done.left:
        console.print(f"  left as it is: {_path(path)}: {escaped(reason)}", soft_wrap=True)


def _list(title: str, entries: list[tuple[Path, str]]) -> None:
    if entries:
        console.print(f"  {len(entries):>8,}  {title}")
    for path, reason in entries[:LISTED]:
        console.print(f"    {_path(path)}: {escaped(reason)}", soft_wrap=True)
    if len(entries) > LISTED:
        console.print(f"    and {len(entries) - LISTED:,} more")


def _path(path: Path) -> str:
    return escaped(str(path))
