"""A small cache of open things: the most recently used stay open."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, int, int, str, int]
"""Address, size and modification time of a file, then the column and row group; "" and 0 mean the whole file."""


class _Entry(Generic[T]):
    """One thing, made by the first thread that asks for it; other threads that ask for it wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: T | None = None


class Latest(Generic[T]):
    """Keeps the `most` things used most recently. An evicted one lives on until its last user releases it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], T]) -> T:
        """What is cached under this key, made now if it is missing. Threads that ask for another key do not wait."""
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > self._most:
                self._entries.popitem(last=False)
        with entry.lock:
            if entry.made is None:
                entry.made = make()
            return entry.made

    def any(self, fits: Callable[[Key], bool]) -> T | None:
        """One whose key fits; None if there is none."""
        with self._lock:
            return next((e.made for key, e in self._entries.items() if e.made is not None and fits(key)), None)

    def forget(self, key: Key) -> None:
        """Drops an entry: it is made anew when it is next asked for."""
        with self._lock:
            self._entries.pop(key, None)
