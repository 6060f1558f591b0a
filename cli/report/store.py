"""The rows of a report from the store: what it knows about files that have not changed since they were scanned."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from ...collection.reread import known_images
from ...collection.store import CHUNK, SeenImage, Store
from ...core.errors import KeepersError
from ...core.gates.gate import Gate
from ...core.judging.judge import Judge
from ...core.pictures.open import read_image_file
from ...core.pictures.walk import Found, Search, walk
from ...core.prediction import Answer
from ..not_judged import NotJudged
from ..noted import Noted
from ..pages.pictures import made_pictures
from ..pages.results import Ranges, shown_row
from ..pages.rows import Row, Shown, Unread, link
from .choice import Choice
from .counted import counted
from .gathered import Gathered, Wish, passing, unread
from .verdicts import Judged, Verdicts

GONE = "no longer there"
T = TypeVar("T")


def from_store(store: Store, paths: Sequence[Path], gate: Gate | None, judge: Judge, wish: Wish) -> Gathered:
    """What a page shows of the named files and folders, or of all in the store, by a gate or as last judged.

    Raises KeepersError if nothing is known, GateError, StoreError.
    """
    if gate:
        judge.check(gate)
    verdicts, missing, not_judged, noted = Verdicts(store, judge, gate), list[Unread](), NotJudged(), Noted()
    choice: Choice[Judged] = Choice(wish.limit, wish.only)
    files = list(_files(store, paths, verdicts.left_out, missing, wish.search))
    verdicts.compare(files)
    for part in _chunks(counted(files, "looking", "files", 100)):
        for judged in verdicts.of(part):
            kind: Shown = "error" if judged.error else judged.verdict.outcome
            choice.offer(kind, judged.content, judged)
            if not judged.error:
                not_judged.add(judged.verdict)
    if not choice.totals:
        raise KeepersError(f"The store knows no result of these images{_counts(verdicts.left_out)}. Scan them first.")
    chosen, ranges = sorted(choice.taken(), key=lambda one: one.found.path.parts), Ranges()
    rows = [row for part in _chunks(chosen) for row in _rows(store, part, verdicts, ranges, wish, noted)]
    broken = [unread(row, one.error) for one, row in zip(chosen, rows, strict=True) if one.error]
    return Gathered(
        title=_title(paths, store),
        gate=str(gate) if gate else _gates(verdicts.gates),
        rows=_with_pictures(chosen, rows) if wish.pictures else rows,
        totals=choice.counts(),
        note=" ".join(filter(None, (choice.omission(len(rows)), passing(verdicts.passing.total())))),
        models=ranges.asked(judge, {model: verdicts.fingerprints.get(model, "") for model in ranges.found}),
        counts=verdicts.left_out,
        unread=broken,
        missing=missing,
        not_judged=not_judged,
        noted=noted,
    )


def _files(
    store: Store, paths: Sequence[Path], left_out: Counter[str], missing: list[Unread], search: Search
) -> Iterator[Found]:
    """The files that exist, in order; missing ones are counted, or reported if they were named."""
    for entry in walk(paths, search) if paths else ():
        if isinstance(entry, Found):
            yield entry
        else:
            missing.append(Unread(str(entry.path), entry.code, entry.reason))
    for part in () if paths else store.paths():
        whole = {path: path.absolute() for path in part}
        twice = store.files(one for path, one in whole.items() if one != path)
        for entry in walk(path for path, one in whole.items() if one == path or one not in twice):
            if isinstance(entry, Found):
                yield entry
            else:
                left_out[GONE] += 1


def _rows(
    store: Store, part: Sequence[Judged], verdicts: Verdicts, ranges: Ranges, wish: Wish, noted: Noted
) -> Iterator[Row]:
    """All that is known about some images."""
    contents = [one.content for one in part]
    images, pictures = known_images(store, contents), store.thumbnails(contents)
    known = store.predictions(contents, verdicts.fingerprints)
    for one in part:
        answers: dict[str, Answer] = {**known.get(one.content, {}), **one.compared}
        derived = {m: verdicts.judge.derive(m, answers) for m in (verdicts.gate.models if verdicts.gate else ())}
        answers |= {model: made for model, made in derived.items() if made and model not in answers}
        place = str(one.found.path), link(one.found.path, wish.folder)
        image = images.get(one.content, SeenImage(one.content))
        picture = pictures.get(one.content, "")
        noted.add(() if one.error else image.notes)
        made = shown_row(place, one.verdict, image, answers, one.error, picture, one.found.mtime_ns / 1e9)
        ranges.take(made, answers)
        yield made


def _with_pictures(chosen: Sequence[Judged], rows: Sequence[Row]) -> list[Row]:
    wanted = {
        place: partial(read_image_file, one.found.path)
        for place, (one, row) in enumerate(zip(chosen, rows, strict=True))
        if not row.thumbnail and not one.error
    }
    made = made_pictures(wanted)
    return [replace(row, thumbnail=made.get(place, row.thumbnail)) for place, row in enumerate(rows)]


def _chunks(entries: Iterable[T]) -> Iterator[list[T]]:
    waiting = iter(entries)
    while part := list(itertools.islice(waiting, CHUNK)):
        yield part


def _counts(left_out: Counter[str]) -> str:
    told = ", ".join(f"{count:,} {why}" for why, count in left_out.items())
    return f" ({told})" if told else ""


def _gates(found: Counter[str]) -> str:
    """The gate of all verdicts; if there are several, each with the number of images that it judged."""
    if len(found) == 1:
        return next(iter(found))
    return "\n\n".join(f"# {count:,} images\n{gate}" for gate, count in found.most_common())


def _title(paths: Sequence[Path], store: Store) -> str:
    """The report's title."""
    if not paths:
        return store.path.name
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return f"{paths[0].resolve().name}{more}"
