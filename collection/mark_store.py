"""The user's marks in the store, beside the predictions for the same images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.prediction import Prediction
from .marks import Mark, Taken, UserMark, settle
from .reread import known_images
from .store import CHUNK, SeenImage, Store, path_of

COLUMNS = "content, mark, source, time, id"


class MarkStore:
    """Marks in the file of a store; safe with several processes. Like the store, use it from one thread at a time.

    Ask here, not the store, what is known of marked images: the answer may also come from elsewhere.
    """

    def __init__(self, store: Store) -> None:
        self.store = store

    def current(self, contents: Iterable[str] | None = None) -> dict[str, UserMark]:
        """The mark that counts for each marked image, or each of those asked for, by content. Raises StoreError."""
        latest = "id IN (SELECT MAX(id) FROM label GROUP BY content)"
        if contents is None:
            rows: Iterable[tuple[Any, ...]] = self.store.query(f"SELECT {COLUMNS} FROM label WHERE {latest}")  # noqa: S608
        else:
            inner = "SELECT MAX(id) FROM label WHERE content IN ({}) GROUP BY content"
            rows = self.store.in_chunks(f"SELECT {COLUMNS} FROM label WHERE id IN ({inner})", contents)  # noqa: S608
        return {label.content: label for label in map(_label, rows)}

    def history(self, after: int = 0) -> list[UserMark]:
        """All marks that were not taken back, oldest first, from the number `after` on."""
        rows = self.store.query(f"SELECT {COLUMNS} FROM label WHERE id > ? ORDER BY id", (after,))  # noqa: S608
        return [_label(row) for row in rows]

    def add(self, labels: Sequence[UserMark]) -> Taken:
        """Write marks; the last of several for one image counts. A mark that changes nothing is not written."""
        fresh, taken = settle(labels, self.current({label.content for label in labels}))
        with self.store.writing() as database:
            database.executemany(
                "INSERT INTO label (content, mark, source, time) VALUES (?, ?, ?, ?)",
                ((one.content, one.mark, one.source, one.time) for one in fresh),
            )
        return taken

    def say(self, content: str, mark: Mark, source: str, time: float) -> UserMark:
        """Write one mark, whatever came before, and return it with its number."""
        with self.store.writing() as database:
            row = database.execute(
                "INSERT INTO label (content, mark, source, time) VALUES (?, ?, ?, ?)", (content, mark, source, time)
            )
            return UserMark(content, mark, source, time, int(row.lastrowid or 0))

    def take_back(self, number: int) -> UserMark | None:
        """Remove one mark by its number and return it; None if it is already gone."""
        with self.store.writing() as database:
            rows = database.execute(f"SELECT {COLUMNS} FROM label WHERE id = ?", (number,)).fetchall()  # noqa: S608
            database.execute("DELETE FROM label WHERE id = ?", (number,))
        return _label(rows[0]) if rows else None

    def forget(self, contents: Iterable[str]) -> int:
        """Remove all marks of some images; returns how many there were."""
        removed = 0
        with self.store.writing() as database:
            for content in set(contents):
                removed += database.execute("DELETE FROM label WHERE content = ?", (content,)).rowcount
        return removed

    def version(self) -> tuple[int, int]:
        """Changes whenever a mark is written or taken back, by this process or another."""
        last, count = self.store.query("SELECT COALESCE(MAX(id), 0), COUNT(*) FROM label")[0]
        return int(last), int(count)

    def paths(self, contents: Iterable[str]) -> dict[str, list[Path]]:
        """Where files with these contents were last seen, by content; they may be gone."""
        found: dict[str, list[Path]] = {}
        sql = "SELECT content, path FROM file WHERE content IN ({}) ORDER BY path"
        for content, path in self.store.in_chunks(sql, contents):
            found.setdefault(content, []).append(path_of(path))
        return found

    def addresses(self, contents: Iterable[str]) -> dict[str, str]:
        """Addresses to show for images that are not files of this machine, by content; the store knows none."""
        del contents
        return {}

    def images(self, contents: Iterable[str]) -> dict[str, SeenImage]:
        """What is known of images, by content."""
        return known_images(self.store, contents)

    def predictions(self, contents: Iterable[str], model: str, fingerprint: str) -> dict[str, Prediction]:
        """A model's predictions for images under one fingerprint, by content."""
        known = self.store.predictions(contents, {model: fingerprint})
        return {content: answers[model] for content, answers in known.items()}

    def every(self, model: str, fingerprint: str) -> Iterator[dict[str, Prediction]]:
        """All predictions of a model under one fingerprint, by content, a few hundred images at a time."""
        rows = self.store.query("SELECT DISTINCT content FROM prediction WHERE fingerprint = ?", (fingerprint,))
        for start in range(0, len(rows), CHUNK):
            yield self.predictions([row[0] for row in rows[start : start + CHUNK]], model, fingerprint)

    def unusable(self, model: str, fingerprint: str) -> list[str]:
        """Why a source named beside the store has no predictions of a model, one line each."""
        del model, fingerprint
        return []

    def other_fingerprints(self, contents: Iterable[str], model: str, fingerprint: str) -> set[str]:
        """Which of these images the model scored with weights other than those of a fingerprint."""
        sql = "SELECT DISTINCT content FROM prediction WHERE model = ? AND fingerprint <> ? AND content IN ({})"
        return {row[0] for row in self.store.in_chunks(sql, contents, model, fingerprint)}


def _label(row: Sequence[Any]) -> UserMark:
    content, mark, source, time, number = row
    return UserMark(content, "keep" if mark == "keep" else "reject", source, time, number)
