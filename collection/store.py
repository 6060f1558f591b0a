"""The store: images, predictions and verdicts in one SQLite file, safe with several processes."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import StoreBusy, StoreError, encodable
from ..core.gates.gate import OUTCOMES, Outcome, Verdict
from ..core.gates.unjudged import Unjudged, as_table, flawed, from_tables
from ..core.metadata.generation import READER, Generation
from ..core.pictures.quality import UNKNOWN
from ..core.pictures.walk import Found
from ..core.prediction import Labels, Prediction, Range, restored
from .store_schema import MIGRATIONS

CHUNK = 500
"""Rows a query asks for at once: SQLite limits the number of variables in a statement."""
IMAGE = "content, width, height, positive, negative, seed, sampler, model, source, notes, reader, quality"
"""The columns of an image, in the order of `SeenImage`."""


@dataclass(frozen=True)
class SeenFile:
    """A file as it was when its content was last read."""

    path: Path
    size: int
    mtime_ns: int
    content: str
    """sha256 of the bytes, hex."""

    def is_still(self, found: Found) -> bool:
        """Whether the file as it was found now is the one that was read: of the same size and time."""
        return (self.size, self.mtime_ns) == (found.size, found.mtime_ns)


@dataclass(frozen=True)
class SeenImage:
    """What is known about an image, whichever file holds it."""

    content: str
    width: int = 0
    height: int = 0
    positive: str = ""
    negative: str = ""
    seed: str = ""
    sampler: str = ""
    model: str = ""
    source: str = ""
    """The program, as `Generation.source`: "a1111", "comfyui", "keepers", ... or empty."""
    notes: tuple[str, ...] = ()
    reader: int = READER
    """The version of the reader of its metadata."""
    quality: int = UNKNOWN
    """How little compression has cost it, as `quality_of`: 1 to 100, 101 for lossless, 0 if it is not known."""

    def saying(self, said: Generation) -> SeenImage:
        """The image with the metadata that was read from its file."""
        seed = "" if said.seed is None else str(said.seed)
        texts = (said.positive, said.negative, seed, said.sampler, said.model, said.source)
        return SeenImage(self.content, self.width, self.height, *texts, said.notes, quality=self.quality)


@dataclass(frozen=True)
class SeenVerdict:
    """An outcome under one basis: gate text, fingerprints of its models, and precision."""

    content: str
    basis: str
    gate: str
    outcome: str
    reason: str
    error: str = ""
    """The code of what made the file unreadable; empty otherwise."""
    time: float = 0.0
    """Seconds since 1970."""
    unjudged: tuple[Unjudged, ...] = ()
    """As in `Verdict.unjudged`."""
    final: bool = True
    """Whether the verdict stands. One that was given while a model was missing or failed is shown, and looked at again
    by the next scan."""
    duplicate_of: str = ""
    """The content of the image that was kept in its place, on which the verdict depends; empty if it was kept."""

    @property
    def of_a_copy(self) -> bool:
        """Whether the image that was kept has the same bytes.

        Verdicts are stored by content: that of the kept one is, and that of its copy follows from it.
        """
        return self.duplicate_of == self.content

    @property
    def verdict(self) -> Verdict:
        """The verdict; an outcome that nobody knows is review."""
        known: Outcome | None = next((one for one in OUTCOMES if one == self.outcome), None)
        why = self.unjudged or ((flawed(self.reason.removeprefix("review: "), self.error),) if self.error else ())
        return Verdict(known or "review", self.reason, why)


_FORGET = "DELETE FROM verdict WHERE final = 0 AND content = ?"
_VERDICT = "content, basis, gate, outcome, reason, error, unjudged, final, duplicate_of"


class Store:
    """Opens the file, creating or migrating it. Use as a context manager, from one thread at a time."""

    def __init__(self, path: Path, *, wait: float = 30.0) -> None:
        """`wait`: seconds to wait for another process that writes. Raises StoreError."""
        self.path = path
        self._labels: dict[str, Labels] = {}
        with self._told("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
        try:
            with self._told("opened"):
                self._prepare()
        except StoreError:
            self._db.close()
            raise

    def _prepare(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        found = self._version()
        if found > len(MIGRATIONS):
            raise StoreError(
                f"{self.path} was written by a newer Keepers (its version {found}, here {len(MIGRATIONS)}). "
                "Update Keepers, or name another file with --db."
            )
        if found < len(MIGRATIONS):
            with self.writing():
                for migration in MIGRATIONS[self._version() :]:  # read again: another process may have been quicker
                    for statement in filter(str.strip, migration.split(";")):
                        self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def wait_at_most(self, seconds: float) -> None:
        """From now on, wait this long for another process that writes. Raises StoreError."""
        self.query(f"PRAGMA busy_timeout = {int(seconds * 1000)}")

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _told(self, what: str) -> Generator[None]:
        """Turn SQLite's errors into one sentence with a remedy."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            text = str(error)
            kind = StoreBusy if "locked" in text else StoreError
            if kind is StoreBusy:
                remedy = "Another program keeps it locked: wait for it, or name another file with --db."
            elif "full" in text or "No space" in text:
                remedy = "The disk is full. What was stored before is safe."
            elif "readonly" in text or "unable to open" in text or isinstance(error, PermissionError):
                remedy = "Check that the folder exists and may be written, or name another file with --db."
            else:
                remedy = "Move it away and scan again: it holds only what a scan can find anew, and your own labels."
            raise kind(f"{self.path} cannot be {what} ({text}). {remedy}") from error

    @contextmanager
    def writing(self) -> Generator[sqlite3.Connection]:
        """One transaction: all of it or nothing, whatever happens to the process. Raises StoreError."""
        with self._told("written"):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def query(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query. Raises StoreError."""
        with self._told("read"):
            return self._db.execute(sql, values).fetchall()

    def in_chunks(self, sql: str, keys: Iterable[Any], *fixed: Any) -> Iterator[tuple[Any, ...]]:
        """Rows of a query whose {} stands for a list of keys; `fixed` values come first."""
        listed = list(keys)
        for start in range(0, len(listed), CHUNK):
            part = listed[start : start + CHUNK]
            yield from self.query(sql.format(",".join("?" * len(part))), (*fixed, *part))

    # --- what is known -------------------------------------------------------------------------------------------

    def files(self, paths: Iterable[Path]) -> dict[Path, SeenFile]:
        """The files among `paths` that were read before, as they were at that time."""
        sql = "SELECT path, size, mtime_ns, content FROM file WHERE path IN ({})"
        rows = self.in_chunks(sql, (_key(path) for path in paths))
        return {
            path: SeenFile(path, size, mtime, content) for raw, size, mtime, content in rows for path in [path_of(raw)]
        }

    def images(self, contents: Iterable[str]) -> dict[str, SeenImage]:
        """What is known about images, by content."""
        rows = self.in_chunks(f"SELECT {IMAGE} FROM image WHERE content IN ({{}})", contents)  # noqa: S608
        return {
            row[0]: SeenImage(*row[:9], notes=tuple(json.loads(row[9])), reader=row[10], quality=row[11])
            for row in rows
        }

    def verdicts(self, contents: Iterable[str], basis: str) -> dict[str, SeenVerdict]:
        """Verdicts that stand under one basis, by content."""
        sql = f"SELECT {_VERDICT}, time FROM verdict WHERE basis = ? AND final = 1 AND content IN ({{}})"  # noqa: S608
        return {row[0]: _seen_verdict(row) for row in self.in_chunks(sql, contents, basis)}

    def newest_verdicts(self, contents: Iterable[str]) -> dict[str, SeenVerdict]:
        """The verdict that was given last, whatever its basis and whether it stands or not, by content."""
        sql = f"SELECT {_VERDICT}, MAX(time) FROM verdict WHERE content IN ({{}}) GROUP BY content"  # noqa: S608
        return {row[0]: _seen_verdict(row) for row in self.in_chunks(sql, contents)}

    def paths(self) -> Iterator[list[Path]]:
        """All files that were ever read, in order, a few hundred at a time."""
        last: list[tuple[Any, ...]] = self.query("SELECT path FROM file ORDER BY path LIMIT ?", (CHUNK,))
        while last:
            yield [path_of(key) for (key,) in last]
            last = self.query("SELECT path FROM file WHERE path > ? ORDER BY path LIMIT ?", (last[-1][0], CHUNK))

    def fingerprints(self) -> dict[str, str]:
        """The latest fingerprint of every model that ever gave a prediction."""
        return dict(self.query("SELECT model, fingerprint FROM labels ORDER BY rowid"))

    def predictions(
        self, contents: Iterable[str], fingerprints: Mapping[str, str], *, exact: bool = False
    ) -> dict[str, dict[str, Prediction]]:
        """Predictions by content and model id, for the models and fingerprints asked for.

        An exact prediction takes precedence over one of limited precision; with `exact`, there is no other. What an
        earlier version stored under a single tolerance for all labels comes back with one that is safe for each.
        """
        found: dict[str, dict[str, Prediction]] = {}
        sql = (
            "SELECT content, tolerance, value, label, margin FROM prediction"
            " WHERE fingerprint = ? AND tolerance <= ? AND content IN ({}) ORDER BY tolerance DESC"
        )
        listed = list(contents)
        for model, fingerprint in fingerprints.items():
            labels = self._labels_of(fingerprint)
            limit = 0.0 if exact else 1e300
            for content, tolerance, values, label, margin in (
                self.in_chunks(sql, listed, fingerprint, limit) if labels else ()
            ):
                assert labels is not None
                numbers = np.frombuffer(values, dtype="<f4")
                prediction = restored(model, labels, numbers, label, margin, tolerance, fingerprint)
                found.setdefault(content, {})[model] = prediction
        return found

    def _labels_of(self, fingerprint: str) -> Labels | None:
        if fingerprint not in self._labels:
            rows = self.query("SELECT names, groups, ranges, drifts FROM labels WHERE fingerprint = ?", (fingerprint,))
            if not rows:
                return None
            names, groups, ranges, drifts = (json.loads(text) for text in rows[0])
            self._labels[fingerprint] = Labels(
                tuple(names),
                tuple(groups),
                tuple(Range(float(low), float(high), unit) for low, high, unit in ranges),
                tuple((group, float(drift)) for group, drift in drifts),
            )
        return self._labels[fingerprint]

    def thumbnails(self, contents: Iterable[str]) -> dict[str, str]:
        """Stored thumbnails as data URIs, by content."""
        return dict(self.in_chunks("SELECT content, data FROM thumbnail WHERE content IN ({})", contents))

    def counts(self) -> dict[str, int]:
        """How many rows each table holds."""
        tables = ("file", "image", "prediction", "verdict")
        return {table: int(self.query(f"SELECT COUNT(*) FROM {table}")[0][0]) for table in tables}  # noqa: S608

    # --- what is added -------------------------------------------------------------------------------------------

    def add(
        self,
        *,
        files: Iterable[SeenFile] = (),
        images: Iterable[SeenImage] = (),
        predictions: Iterable[tuple[str, Prediction]] = (),
        verdicts: Iterable[SeenVerdict] = (),
        thumbnails: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Write everything in one transaction, replacing what is already there. Raises StoreError."""
        now = time.time()
        with self.writing():
            self._db.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)",
                ((_key(one.path), one.size, one.mtime_ns, one.content) for one in files),
            )
            self._db.executemany(
                f"INSERT OR REPLACE INTO image ({IMAGE}) VALUES ({', '.join('?' * 12)})",  # noqa: S608
                (_image_row(one) for one in images),
            )
            for content, prediction in predictions:
                self._add_prediction(content, prediction, now)
            self._add_verdicts(list(verdicts), now)
            self._db.executemany("INSERT OR REPLACE INTO thumbnail VALUES (?, ?)", thumbnails)

    def _add_verdicts(self, verdicts: Sequence[SeenVerdict], now: float) -> None:
        self._db.executemany(_FORGET, ((one.content,) for one in verdicts))
        self._db.executemany(
            f"INSERT OR REPLACE INTO verdict ({_VERDICT}, time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            ((*_verdict_row(one), one.time or now) for one in verdicts),
        )

    def settle(self, contents: Iterable[str]) -> None:
        """Forget verdicts of these images that do not stand: the image was found to have one that does."""
        sql = "SELECT DISTINCT content FROM verdict WHERE final = 0 AND content IN ({})"
        if open_ones := list(self.in_chunks(sql, contents)):
            with self.writing():
                self._db.executemany(_FORGET, open_ones)

    def _add_prediction(self, content: str, prediction: Prediction, now: float) -> None:
        fingerprint = prediction.fingerprint
        self._add_labels(prediction)
        if prediction.tolerance:  # one of limited precision is enough, and the last one knows best how far it is off
            self._db.execute(
                "DELETE FROM prediction WHERE content = ? AND fingerprint = ? AND tolerance > 0", (content, fingerprint)
            )
        self._db.execute(
            "INSERT OR REPLACE INTO prediction VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                content,
                fingerprint,
                prediction.model,
                prediction.tolerance,
                prediction.values.astype("<f4").tobytes(),
                prediction.label,
                min(float(prediction.margin), 1e300),
                now,
            ),
        )

    def distrust(self, fingerprint: str, tolerance: float, basis: str) -> None:
        """Raise the tolerance of a model's fast predictions, and forget the verdicts of a basis that rests on them.

        `tolerance` as in Prediction. Raises StoreError.
        """
        with self.writing() as db:
            db.execute(
                "UPDATE prediction SET tolerance = ? WHERE fingerprint = ? AND tolerance >= 1 AND tolerance < ?",
                (tolerance, fingerprint, tolerance),
            )
            db.execute("DELETE FROM verdict WHERE basis = ?", (basis,))

    def _add_labels(self, prediction: Prediction) -> None:
        """The labels of a model, once; what is stated of their drifts now replaces what was stated before."""
        labels, fingerprint = prediction.labels, prediction.fingerprint
        known = self._labels_of(fingerprint)
        if known is None:
            lists = labels.names, labels.groups, [list(one) for one in labels.ranges], labels.drifts
            self._db.execute(
                "INSERT OR IGNORE INTO labels VALUES (?, ?, ?, ?, ?, ?)",
                (fingerprint, prediction.model, *map(json.dumps, lists)),
            )
        elif labels.drifts and labels.drifts != known.drifts:
            sql = "UPDATE labels SET drifts = ? WHERE fingerprint = ?"
            self._db.execute(sql, (json.dumps(labels.drifts), fingerprint))
            del self._labels[fingerprint]


def _image_row(image: SeenImage) -> tuple[Any, ...]:
    texts = (image.positive, image.negative, image.seed, image.sampler, image.model, image.source)
    sides, versions = (image.width, image.height), (image.reader, image.quality)
    return (image.content, *sides, *map(encodable, texts), json.dumps(image.notes), *versions)


def _verdict_row(one: SeenVerdict) -> tuple[Any, ...]:
    why = json.dumps([as_table(each) for each in one.unjudged])
    said = one.gate, one.outcome, encodable(one.reason), one.error, why
    return (one.content, one.basis, *said, int(one.final), one.duplicate_of)


def _seen_verdict(row: tuple[Any, ...]) -> SeenVerdict:
    unjudged, (final, kept, given) = from_tables(json.loads(row[6])), row[7:]
    return SeenVerdict(*row[:6], time=given, unjudged=unjudged, final=bool(final), duplicate_of=kept)


def _key(path: Path) -> bytes:
    return os.fsencode(path)


def path_of(key: bytes) -> Path:
    """The path that a key of the store stands for."""
    return Path(os.fsdecode(key))
