"""Files and folders of this machine, found by the same walk as in the plain scan and in the same order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.pictures.walk import Found, PassedOver, Search, walk_repeating
from .item import SourceItem, uri_of


def local_items(paths: Iterable[Path], search: Search) -> Iterator[SourceItem]:
    """One item for every file that the walk finds or passes over; a file that is named and found comes twice."""
    for entry in walk_repeating(paths, search):
        yield local_item(entry)


def local_item(entry: Found | PassedOver) -> SourceItem:
    """What the walk said, as an item."""
    if isinstance(entry, PassedOver):
        return SourceItem(uri_of(entry.path), code=entry.code, flaw=entry.reason)
    return SourceItem(uri_of(entry.path), size=entry.size, mtime_ns=entry.mtime_ns)
