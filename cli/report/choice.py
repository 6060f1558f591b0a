"""Which images a page shows if it cannot show all: each verdict gets its share, chosen by hash."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from ..pages.rows import VERDICTS, Shown

T = TypeVar("T")


@dataclass
class Choice(Generic[T]):
    """Takes any number of images and keeps at most `limit` of each verdict: those with the smallest hashes.

    Hashes have nothing to do with what an image shows and do not change: the choice is fair and always the same.
    """

    limit: int
    """The most images shown in all; 0 means no limit."""
    only: Shown | None = None
    totals: Counter[Shown] = field(default_factory=Counter[Shown])
    """Of all images, whether they are shown or not."""
    _kept: dict[Shown, list[tuple[int, int, T]]] = field(default_factory=dict[Shown, list[tuple[int, int, T]]])

    def offer(self, verdict: Shown, content: str, image: T) -> None:
        """Count one image, and keep what is needed to show it if it is among the first."""
        self.totals[verdict] += 1
        if self.only not in (None, verdict):
            return
        kept = self._kept.setdefault(verdict, [])
        entry = (-int(content or "0", 16), -self.totals[verdict], image)  # the second number is unique
        if not self.limit or len(kept) < self.limit:
            heapq.heappush(kept, entry)
        else:
            heapq.heappushpop(kept, entry)

    def taken(self) -> list[T]:
        """The images shown, verdict by verdict."""
        kept: list[Shown] = [verdict for verdict in VERDICTS if verdict in self._kept]
        shares = _shares({verdict: self.totals[verdict] for verdict in kept}, self.limit)
        found: list[T] = []
        for verdict, share in shares.items():
            first = sorted(self._kept[verdict], key=lambda entry: entry[:2], reverse=True)
            found += [image for _, _, image in first[:share]]
        return found

    def counts(self) -> dict[Shown, int]:
        """How many images have each verdict, in the usual order."""
        return {verdict: self.totals[verdict] for verdict in VERDICTS if self.totals[verdict]}

    def omission(self, shown: int) -> str:
        """What a page says about the images it leaves out; empty if it shows all."""
        total = sum(self.totals.values())
        if shown == total:
            return ""
        kind = f"those with the verdict {self.only}" if self.only else "of each verdict its share"
        if self.only and shown == self.totals[self.only]:
            return f"Shown are {shown:,} of {total:,} images: {kind}."
        return f"Shown are {shown:,} of {total:,} images: {kind}, those with the smallest hashes."


def _shares(totals: Mapping[Shown, int], limit: int) -> dict[Shown, int]:
    """How many of each verdict are shown: in proportion, at least one each, by the largest remainders."""
    total = sum(totals.values())
    if not limit or total <= limit:
        return dict(totals)
    rare_first = sorted(totals, key=totals.__getitem__)
    shares = {verdict: max(1, limit * totals[verdict] // total) for verdict in rare_first}
    while (over := sum(shares.values()) - limit) > 0:
        largest = max(shares.values())
        common = next(v for v, share in shares.items() if share == largest)
        shares[common] -= min(over, max(1, largest - 1))
    by_remainder = sorted(totals, key=lambda verdict: -(limit * totals[verdict] % total))
    for verdict in by_remainder[: limit - sum(shares.values())]:
        shares[verdict] += 1
    return {verdict: shares[verdict] for verdict in totals}
