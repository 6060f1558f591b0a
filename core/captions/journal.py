"""Records what a run wrote into a folder, so that it can be undone."""

from __future__ import annotations

import base64
import binascii
import json
import os
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, cast

from ..errors import KeepersError, OutsideFolder, SidecarError, WriteFailed, one_line
from ..files import atomic_write, content_hash
from ..metadata.write import embed, read_record
from ..paths import inside

NAME = ".keepers-captions.jsonl"
"""The journal's name in the folder it is about. It has one line per file, written before the file is."""


@dataclass(frozen=True)
class Entry:
    """One file that a run wrote."""

    run: str
    name: str
    """The file's name in the journal's folder."""
    before: bytes | None
    """What the file held; None if it was new."""
    after: str
    """The sha256 of what the run put there."""
    embedded: bool = False
    """Whether `before` and `after` are about the caption in the file's metadata, not about its content."""


@dataclass(frozen=True)
class Undone:
    """What an undo did."""

    restored: tuple[Path, ...] = ()
    removed: tuple[Path, ...] = ()
    left: tuple[tuple[Path, str], ...] = ()
    """Files that were not changed, each with the reason."""


def new_run() -> str:
    """A new name for a run; names sort by time."""
    return f"{time.time_ns():020d}-{secrets.token_hex(4)}"


def record(run: str, path: Path, before: bytes | None, after: str, *, embedded: bool = False) -> None:
    """Notes that a run is about to write a file, or the caption in its metadata. Raises WriteFailed."""
    journal = path.parent / NAME
    line = _line(Entry(run, path.name, before, after, embedded))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with journal.open("ab") as file:
            # A leading line break separates this line from one that a crash cut short.
            file.write(b"\n" + line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise WriteFailed(journal, error) from error


def undo(folders: Iterable[Path]) -> Undone:
    """Undoes the latest run that any of these folders has in its journal. Files that changed since are left alone.

    Raises SidecarError for a journal that cannot be read, WriteFailed.
    """
    journals = {folder: entries for folder in folders if (entries := read_journal(folder))}
    if not journals:
        return Undone()
    last = max(entry.run for entries in journals.values() for entry in entries)
    restored, removed, left = list[Path](), list[Path](), list[tuple[Path, str]]()
    for folder, entries in journals.items():
        for entry in reversed([entry for entry in entries if entry.run == last]):
            path = folder / entry.name
            if path in removed:
                continue  # in the journal twice: copied, then captioned
            reason = _take_back(folder, entry)
            if reason:
                left.append((path, reason))
            else:
                (removed if entry.before is None and not entry.embedded else restored).append(path)
        _rewrite(folder, [entry for entry in entries if entry.run != last])
    return Undone(tuple(restored), tuple(removed), tuple(left))


def read_journal(folder: Path) -> list[Entry]:
    """The entries of a folder's journal, oldest first; a line that a crash cut short is skipped.

    Raises SidecarError.
    """
    path = folder / NAME
    try:
        lines = path.read_bytes().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SidecarError(path, f"it cannot be read: {error.strerror or error}") from error
    return [entry for entry in map(_entry, lines) if entry is not None]


def _take_back(folder: Path, entry: Entry) -> str:
    """Restores one file; returns why not if it cannot be done."""
    try:
        path = inside(folder, entry.name, native=True)
        if entry.embedded:
            return _restore_embedded(path, entry)
        if os.path.lexists(path):
            return _restore(path, entry.before) if _untouched(path, entry) else "changed since"
        return "gone already" if entry.before is None else _restore(path, entry.before)
    except OutsideFolder:
        return "the journal names a file outside its folder"
    except KeepersError as error:
        return str(error)


def _untouched(path: Path, entry: Entry) -> bool:
    """Whether a file is as the run left it, or as the run found it because it never got to write it."""
    now = content_hash(path)
    return now == entry.after or (entry.before is not None and now == sha256(entry.before).hexdigest())


def _restore(path: Path, before: bytes | None) -> str:
    if before is not None:
        atomic_write(path, before)
        return ""
    try:
        path.unlink()
    except OSError as error:
        return one_line(error.strerror or str(error))
    return ""


def _restore_embedded(path: Path, entry: Entry) -> str:
    found = read_record(path)
    if found is None or sha256(found.caption.encode()).hexdigest() != entry.after:
        return "its caption changed since"
    before = (entry.before or b"").decode("utf-8", "replace")
    embed(path, replace(found, caption=before), keep_mtime=True)
    return ""


def _rewrite(folder: Path, entries: list[Entry]) -> None:
    path = folder / NAME
    if entries:
        atomic_write(path, b"\n".join(map(_line, entries)))
        return
    try:
        path.unlink()
    except OSError as error:
        raise WriteFailed(path, error) from error


def _entry(line: bytes) -> Entry | None:
    try:
        found = cast("dict[str, Any]", json.loads(line))
        before = found["before"]
        content = None if before is None else base64.b64decode(before, validate=True)
        texts = (found["run"], found["name"], found["after"])
        embedded = found.get("embedded", False) is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, binascii.Error):
        return None
    if not all(isinstance(text, str) for text in texts):
        return None
    return Entry(texts[0], texts[1], content, texts[2], embedded)


def _line(entry: Entry) -> bytes:
    before = None if entry.before is None else base64.b64encode(entry.before).decode()
    line: dict[str, object] = {"run": entry.run, "name": entry.name, "before": before, "after": entry.after}
    return json.dumps(line | ({"embedded": True} if entry.embedded else {})).encode()
