"""The rows of a report from the output of a scan over many machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from ...cluster.output.gate import OutputGate, clear_answers
from ...cluster.output.output import Output
from ...cluster.output.parts import RowPlace, image_rows, picked, pieces
from ...cluster.output.schema import COLUMNS, outcome
from ...cluster.output.strayed import filled
from ...cluster.sources.item import SourceItem, path_of
from ...cluster.sources.read_item import ItemReader
from ...collection.store import Store
from ...core.gates.gate import Gate, Verdict
from ...core.gates.unjudged import from_tables
from ...core.judging.judge import Judge
from ..not_judged import NotJudged
from ..pages.pictures import made_pictures
from ..pages.results import Ranges, shown_row
from ..pages.rows import Row, Shown, address_link, link
from .choice import Choice
from .counted import counted
from .gathered import Gathered, Wish, passing, unread

UNFINISHED = "The scan was not finished: near-duplicates are not looked for yet."


class _Chosen(NamedTuple):
    """An image that may be shown."""

    spot: RowPlace
    verdict: Verdict | None
    """By another gate than the scan's."""


class _Shown(NamedTuple):
    """An image that is shown."""

    item: SourceItem
    content: str
    error: str
    row: Row


def from_output(output: Output, gate: Gate | None, judge: Judge, store: Store | None, wish: Wish) -> Gathered:
    """What a page shows of an output: by its own verdicts, or by a gate applied anew to its numbers.

    Two passes: all verdicts, then everything known about the images shown. Raises GateError, OutputError, StoreError.
    """
    settings = output.require_settings()
    asked = OutputGate(gate, output.where, settings, judge) if gate else None
    if asked:
        asked.check()
    choice: Choice[_Chosen] = Choice(wish.limit, wish.only)
    not_judged = NotJudged()
    for kind, content, verdict, chosen in counted(
        _anew(output, asked) if asked else _own_verdicts(output), "reading", "images", 1000
    ):
        choice.offer(kind, content, chosen)
        if kind != "error":
            not_judged.add(verdict)
    ranges = Ranges()
    shown = sorted(_shown(output, choice.taken(), asked, ranges, wish), key=lambda one: one.row.path)
    pictures = _pictures(shown, store, wish)
    return Gathered(
        title=output.where.rstrip("/").rpartition("/")[2],
        gate=str(gate or settings.gate),
        rows=[replace(one.row, thumbnail=pictures.get(place, "")) for place, one in enumerate(shown)],
        totals=choice.counts(),
        note=" ".join(filter(None, (choice.omission(len(shown)), *_notes(output, anew=asked is not None)))),
        models=ranges.asked(judge, {one.model: one.fingerprint for one in settings.models}),
        unread=[unread(one.row, one.error) for one in shown if one.error],
        not_judged=not_judged,
    )


def _notes(output: Output, *, anew: bool) -> Iterator[str]:
    """What the verdicts of an output still lack."""
    if not output.finished:
        yield UNFINISHED
    if not anew:
        yield passing(sum(int(filled(found["unsure"]).sum()) for _, found in pieces(output, ("unsure",))))


def _own_verdicts(output: Output) -> Iterator[tuple[Shown, str, Verdict, _Chosen]]:
    """Every image with the verdict that the scan gave."""
    names = ("content", "verdict", "unjudged", "error")
    for first, found in pieces(output, names):
        columns = (found[name].to_pylist() for name in names)
        for place, (content, word, unjudged, error) in enumerate(zip(*columns, strict=True)):
            verdict = Verdict(outcome(word), "", from_tables(unjudged))
            kind: Shown = "error" if error else verdict.outcome
            yield kind, content, verdict, _Chosen(RowPlace(first.part, first.row + place), None)


def _anew(output: Output, asked: OutputGate) -> Iterator[tuple[Shown, str, Verdict, _Chosen]]:
    """Every image with the verdict of another gate."""
    for first, found in pieces(output, ("content", *asked.columns)):
        for place, row in enumerate(image_rows(found, asked.models)):
            verdict = asked.verdict(row)
            kind: Shown = "error" if row.error else verdict.outcome
            yield kind, row.image.content, verdict, _Chosen(RowPlace(first.part, first.row + place), verdict)


def _shown(
    output: Output, chosen: Sequence[_Chosen], asked: OutputGate | None, ranges: Ranges, wish: Wish
) -> Iterator[_Shown]:
    """What a page says about the images shown, except their pictures; predictions are dropped once they are used."""
    by_spot, models = {one.spot: one.verdict for one in chosen}, output.require_settings().models
    columns = [*COLUMNS.names, *(one.model for one in models)]
    for spots, found in picked(output, by_spot, columns):
        for spot, row in zip(spots, image_rows(found, models), strict=True):
            answers = clear_answers(row, models)
            for model, derived in asked.answers(row).items() if asked else ():
                answers.setdefault(model, derived)
            told = by_spot[spot] or row.verdict, row.image, answers, row.error
            made = shown_row(_place(row.item, wish), *told, mtime=row.item.mtime_ns / 1e9)
            ranges.take(made, answers)
            yield _Shown(row.item, row.image.content, row.error, made)


def _pictures(shown: Sequence[_Shown], store: Store | None, wish: Wish) -> dict[int, str]:
    """Thumbnails: from the store, else made from files on this machine that have not changed."""
    known = store.thumbnails(one.content for one in shown) if store else {}
    found = {place: known[one.content] for place, one in enumerate(shown) if one.content in known}
    read = ItemReader().read
    wanted = {
        place: partial(read, one.item)
        for place, one in enumerate(shown)
        if wish.pictures and place not in found and not one.error and path_of(one.item.uri) is not None
    }
    return found | made_pictures(wanted)


def _place(item: SourceItem, wish: Wish) -> tuple[str, str]:
    """The text shown, and the link."""
    path = path_of(item.uri)
    if path is None or item.member:
        return item.name, "" if item.member else address_link(item.uri)
    return str(path), link(path, wish.folder)
