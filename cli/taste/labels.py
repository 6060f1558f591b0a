"""`keepers labels`: the user's marks on their images and where they come from; import, export, forget."""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter
from pathlib import Path
from typing import Annotated

from rich.table import Table

from ...collection.mark_store import MarkStore
from ...collection.marks import count
from ...core.files import atomic_write, content_hash
from ...core.pictures.walk import Found, Search, walk
from ..console import console
from ..exit_codes import escaped
from ..known_output import Scans, known_marks
from ..looking import Looking, tell_passed_by
from ..options import examples, in_panel
from ..store import Db, open_store
from .mark_sources import Gathered, from_folders, from_sorted, from_table

_take_in = in_panel("Take in")
_out = in_panel("Write out and forget")

TOLD = 10
"""Lines that are listed one by one; the rest is counted."""


@examples(
    "keepers labels",
    "keepers labels --keep good --reject bad",
    "keepers labels --sorted sorted --export labels.csv",
)
def labels(
    keep: Annotated[list[Path] | None, _take_in(help="A folder or file to keep; repeatable.")] = None,
    reject: Annotated[list[Path] | None, _take_in(help="A folder or file to reject; repeatable.")] = None,
    table: Annotated[
        list[Path] | None,
        _take_in("--import", help="A CSV with the columns label and path (or content); repeatable."),
    ] = None,
    sorted_: Annotated[
        Path | None,
        _take_in("--sorted", help="A folder of scan --sort: what you moved into accepted or rejected by hand."),
    ] = None,
    everything: Annotated[
        bool, _take_in("--all", help="With --sorted: also what you left where the gate put it.")
    ] = False,
    export: Annotated[Path | None, _out(help="Write all labels to this CSV.")] = None,
    forget: Annotated[list[Path] | None, _out(help="Forget what you said of these; repeatable.")] = None,
    *,
    looking: Looking,
    db: Db = None,
    scan: Scans = None,
) -> None:
    """Take labels in, write them out, or show how many there are. The last label of an image counts."""
    search = looking.search()
    with open_store(db) as store:
        known = known_marks(store, scan)
        for gathered in _gathered(keep, reject, table, sorted_, everything, search):
            _add(known, gathered)
        if forget:
            _forget(known, forget, search)
        if export:
            _export(known, export)
        tell_passed_by(search)
        _show(known)


def _gathered(
    keep: list[Path] | None,
    reject: list[Path] | None,
    table: list[Path] | None,
    moved: Path | None,
    everything: bool,
    search: Search,
) -> list[Gathered]:
    found: list[Gathered] = []
    if keep or reject:
        found.append(from_folders(keep or (), reject or (), search))
    found += [from_table(path) for path in table or ()]
    if moved:
        found.append(from_sorted(moved, everything))
    return found


def _add(known: MarkStore, gathered: Gathered) -> None:
    known.store.add(files=gathered.files)
    taken = known.add(gathered.marks)
    console.print(f"{taken.new} new, {len(taken.changed)} changed, {taken.same} as before")
    if taken.changed:
        places = known.paths(taken.changed)
        console.print("[yellow]These had another label; the last one counts:[/]")
        _tell([str(places[content][0]) if content in places else content for content in taken.changed])
    if gathered.told:
        console.print(f"[yellow]{len(gathered.told)} could not be used:[/]")
        _tell(gathered.told)


def _tell(lines: list[str]) -> None:
    for line in lines[:TOLD]:
        console.print(f"  {escaped(line)}", soft_wrap=True)
    if len(lines) > TOLD:
        console.print(f"  and {len(lines) - TOLD} more")


def _forget(known: MarkStore, paths: list[Path], search: Search) -> None:
    contents = [content_hash(entry.path) for entry in walk(paths, search) if isinstance(entry, Found)]
    console.print(f"{known.forget(contents)} labels forgotten")


def _export(known: MarkStore, path: Path) -> None:
    """Paths that are not UTF-8 are escaped; the content identifies the image in any case."""
    current = sorted(known.current().values(), key=lambda mark: (mark.time, mark.id))
    contents = [mark.content for mark in current]
    places = known.paths(contents)
    addresses = known.addresses([content for content in contents if content not in places])
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "label", "source", "time", "content"])
    for mark in current:
        seen = places.get(mark.content, [])
        where = os.fsencode(seen[0]).decode("utf-8", "backslashreplace") if seen else addresses.get(mark.content, "")
        writer.writerow([where, mark.mark, mark.source, f"{mark.time:.3f}", mark.content])
    atomic_write(path, text.getvalue().encode("utf-8", "backslashreplace"))
    console.print(f"{len(current)} labels written to {escaped(str(path))}")


def _show(known: MarkStore) -> None:
    current = known.current().values()
    if not current:
        console.print("No labels yet. Give some with: keepers review FOLDER")
        return
    by_source = Counter((mark.source, mark.mark) for mark in current)
    shown = Table("from", "keep", "reject", "last")
    for source in dict.fromkeys(mark.source for mark in sorted(current, key=lambda mark: -mark.time)):
        last = max(mark.time for mark in current if mark.source == source)
        day = time.strftime("%Y-%m-%d %H:%M", time.localtime(last))
        shown.add_row(escaped(source), str(by_source[source, "keep"]), str(by_source[source, "reject"]), day)
    console.print(shown)
    found = count(current)
    console.print(f"{found.keep} keeps, {found.reject} rejects. {found.missing()}")
