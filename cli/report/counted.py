"""Shows how many entries have gone by, where nobody knows how many there will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.progress import Progress, TextColumn

from ..console import console

Entry = TypeVar("Entry")


def counted(entries: Iterable[Entry], doing: str, what: str, every: int) -> Iterator[Entry]:
    """The same entries, with a line such as "reading: 2,000 images" on a terminal, renewed after every so many."""
    with Progress(
        TextColumn(f"{doing}: {{task.completed:,.0f}} {what}"),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(doing, total=None)
        for number, entry in enumerate(entries):
            if number % every == 0:
                bar.update(task, completed=number)
            yield entry
