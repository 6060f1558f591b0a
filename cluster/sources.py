"""Listing what a scan shall read, wherever it lies: each input once, in an order that never changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from ..core.walk import Search
from .item import Item, path_of
from .source_error import SourceError as SourceError
from .source_local import local_items
from .source_seen import Seen


def list_items(sources: Sequence[str], search: Search | None = None, *, column: str = "") -> Iterator[Item]:
    """The inputs that sources stand for, in the order of the sources and, within each, of the names."""
    seen = Seen()
    try:
        paths = (path_of(source) or Path(source) for source in sources)
        for item in local_items(paths, search or Search()):
            if seen.is_new(item):
                yield item
    finally:
        seen.close()
