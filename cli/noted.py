"""How many images have which note: what a model's view of a picture left out or saw differently."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping

from .console import console
from .exit_codes import escaped

KINDS = 8
"""Kinds of notes that are told; the rest is counted together."""
_NUMBER = re.compile(r"\b\d[\d,.]*\b")


class Noted:
    """Counts notes by kind; notes that differ in a number alone are of one kind."""

    def __init__(self) -> None:
        self._kinds: Counter[str] = Counter()

    def add(self, notes: Iterable[str]) -> None:
        """Count the notes of one image, each kind once."""
        self._kinds.update({_NUMBER.sub("…", note) for note in notes})

    @property
    def counts(self) -> Mapping[str, int]:
        """Images by kind of note, the commonest first."""
        common = self._kinds.most_common(KINDS)
        rest = self._kinds.total() - sum(count for _, count in common)
        return {**dict(common), **({"other notes": rest} if rest else {})}

    def show(self) -> None:
        """Print a line for each kind."""
        for kind, count in self.counts.items():
            console.print(f"  [dim]{count:,} noted:[/] {escaped(kind)}", soft_wrap=True)
