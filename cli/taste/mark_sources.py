"""Marks from folders, from a table, and from files that a user moved by hand between sorted folders."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...collection.marks import Mark, UserMark
from ...collection.sorting.journal import BadJournal, journals, read_journal
from ...collection.sorting.sort import FOLDERS
from ...collection.store import SeenFile
from ...core.errors import KeepersError, one_line
from ...core.files import content_hash, stamp
from ...core.pictures.walk import Found, Search, walk

WORDS: dict[str, Mark] = {
    **dict.fromkeys(("keep", "kept", "accept", "accepted", "yes", "good", "1", "true"), "keep"),
    **dict.fromkeys(("reject", "rejected", "no", "bad", "0", "false"), "reject"),
}
CONTENT_LENGTH = 64
MARK_OF: dict[str, Mark] = {"accepted": "keep", "rejected": "reject"}


@dataclass
class Gathered:
    """Marks on their way to the store."""

    marks: list[UserMark] = field(default_factory=list[UserMark])
    files: list[SeenFile] = field(default_factory=list[SeenFile])
    """Where the marked files lie."""
    told: list[str] = field(default_factory=list[str])
    """What could not be used, one line each."""

    def take(self, path: Path, mark: Mark, source: str, when: float) -> None:
        """Mark one file; if it cannot be read, `told` says so."""
        try:
            before = stamp(path)
            content = content_hash(path)
        except KeepersError as error:
            self.told.append(str(error))
            return
        self.marks.append(UserMark(content, mark, source, when))
        self.files.append(SeenFile(path.absolute(), before.size, before.mtime_ns, content))


def from_folders(kept: Sequence[Path], rejected: Sequence[Path], search: Search | None = None) -> Gathered:
    """A keep for every image in some folders, a reject for every image in others."""
    gathered, now = Gathered(), time.time()
    pairs: tuple[tuple[Mark, Sequence[Path]], ...] = (("keep", kept), ("reject", rejected))
    for mark, folders in pairs:
        for folder in folders:
            for found in _images([folder], gathered, search):
                gathered.take(found.path, mark, f"folder {folder.name}", now)
    return gathered


def from_table(path: Path) -> Gathered:
    """A CSV with a column `label` and a column `path` (beside the table or absolute) or `content` (sha256).

    Raises KeepersError for a table without these columns; invalid lines are reported with their number.
    """
    gathered, now = Gathered(), time.time()
    reader = csv.DictReader(io.StringIO(_text(path), newline=""))
    columns = {(name or "").strip().lower(): name for name in reader.fieldnames or ()}
    if "label" not in columns or not ({"path", "content"} & columns.keys()):
        raise KeepersError(f"{path} needs a column label and a column path or content in its first line.")
    source = f"file {path.name}"
    for row in reader:
        value = {name: (row.get(column) or "").strip() for name, column in columns.items()}
        mark = WORDS.get(value["label"].lower())
        where = f"{path.name} line {reader.line_num}"
        content = value.get("content", "").lower()
        when = _number(value.get("time", ""), now)
        if mark is None:
            words = ", ".join(WORDS)
            gathered.told.append(f"{where}: {one_line(value['label'])!r} is not a label; labels are {words}.")
        elif content:
            if len(content) == CONTENT_LENGTH and all(c in "0123456789abcdef" for c in content):
                gathered.marks.append(UserMark(content, mark, source, when))
            else:
                gathered.told.append(f"{where}: {one_line(content)!r:.80} is not a sha256.")
        else:
            gathered.take(path.parent / value.get("path", ""), mark, source, when)
    return gathered


def from_sorted(folder: Path, everything: bool) -> Gathered:
    """Marks for what lies in accepted/ and rejected/ of a sorted folder because the user moved it there, not a scan.

    With `everything`, also for what the user left where the gate put it. Raises KeepersError for an unsorted folder.
    """
    gathered, now = Gathered(), time.time()
    places = [folder / name for name in FOLDERS.values() if (folder / name).is_dir()]
    if not places:
        raise KeepersError(f"{folder} has none of the folders {', '.join(FOLDERS.values())} that a scan sorts into.")
    put = _put_by_scans(folder)
    for name, mark in MARK_OF.items():
        for found in _images([folder / name] if (folder / name).is_dir() else [], gathered):
            if everything or found.path.resolve() not in put:
                gathered.take(found.path, mark, f"sorted {name}", now)
    return gathered


def _put_by_scans(folder: Path) -> set[Path]:
    """Where the scans that sorted into a folder put their files."""
    root = folder.resolve()
    try:
        steps = [step for log in journals(root) for step in read_journal(log)]
    except BadJournal as error:
        raise KeepersError(f"{error} Without it, what you moved by hand cannot be told from the rest.") from error
    return {root / step.target for step in steps if step.state in ("begun", "done")}


def _images(paths: Iterable[Path], gathered: Gathered, search: Search | None = None) -> Iterator[Found]:
    for entry in walk(paths, search):
        if isinstance(entry, Found):
            yield entry
        else:
            gathered.told.append(f"{one_line(str(entry.path))}: {entry.reason}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KeepersError(f"{path} cannot be read ({error}).") from error


def _number(text: str, otherwise: float) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError:
        return otherwise
