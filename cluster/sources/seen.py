"""Recognises repeated inputs, however many there are, in bounded memory."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from .item import SourceItem


class Seen:
    """The items so far, by their keys, in an unnamed private database that spills to disk and removes itself."""

    def __init__(self) -> None:
        self._store = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._store.execute("PRAGMA journal_mode = OFF")
        self._store.execute("PRAGMA synchronous = OFF")
        self._store.execute("PRAGMA cache_size = -16384")  # 16 MiB
        self._store.execute("CREATE TABLE seen (key BLOB PRIMARY KEY) WITHOUT ROWID")
        self._store.execute("BEGIN")  # one transaction for all: committing after each key costs ten times as much

    def is_new(self, item: SourceItem) -> bool:
        """Whether this is the first time this input comes; it is remembered."""
        with closing(self._store.execute("INSERT OR IGNORE INTO seen VALUES (?)", (item.key,))) as done:
            return done.rowcount == 1

    def close(self) -> None:
        """Frees the disk space."""
        self._store.close()
