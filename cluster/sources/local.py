"""Files and folders on this machine, found by the same walk and in the same order as in a plain scan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...core.pictures.walk import Found, PassedOver, Search, walk_repeating
from .item import SourceItem, uri_of


def local_items(paths: Iterable[Path], search: Search) -> Iterator[SourceItem]:
    """One item for every file that the walk finds or passes over. A file that is both named and found comes twice."""
    for entry in walk_repeating(paths, search):
        yield local_item(entry)


def local_item(entry: Found | PassedOver) -> SourceItem:
    """A result of the walk as an item."""
    if isinstance(entry, PassedOver):
        return SourceItem(uri_of(entry.path), code=entry.code, flaw=entry.reason)
    return SourceItem(uri_of(entry.path), size=entry.size, mtime_ns=entry.mtime_ns)
