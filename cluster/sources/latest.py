"""What was opened last stays open, so many of it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")
Key = tuple[str, int, int, str, int]
"""Address, size and time of a file, and what of it is meant."""


class _Entry(Generic[T]):
    """One thing that is made by the first thread that wants it, while others that want it wait."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.made: T | None = None


class Latest(Generic[T]):
    """The `most` things used last; what is pushed out goes when its last user lets go of it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._entries: OrderedDict[Key, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Key, make: Callable[[], T]) -> T:
        """What is there under this key, or is made now; threads that want another are not held up."""
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
        """One whose key fits, where there is one."""
        with self._lock:
            return next((e.made for key, e in self._entries.items() if e.made is not None and fits(key)), None)

    def forget(self, key: Key) -> None:
        """It is made anew when it is wanted again."""
        with self._lock:
            self._entries.pop(key, None)
