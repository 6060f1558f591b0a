"""What a report shows: one Row for each image, and the Header for the whole run."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from ...core.prediction import PROBABILITY, Range

Shown = Literal["accept", "review", "reject", "error"]
VERDICTS: tuple[Shown, ...] = ("accept", "review", "reject", "error")
TEXTS = ("reason", "unjudged", "prompt", "negative", "seed", "source", "generator", "notes", "duplicate_of")
"""Columns of text; equal texts are embedded once."""


@dataclass(frozen=True)
class Row:
    """One image of the report."""

    path: str
    """As the user knows it; may hold any character, including surrogates for bytes that are not UTF-8."""
    href: str
    """The address of the image as seen from the report, percent-encoded (see `link`)."""
    verdict: Shown
    reason: str = ""
    thumbnail: str = ""
    """A data URI (see `thumbnail`); empty lets the browser show the image itself."""
    width: int = 0
    height: int = 0
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By model, by label; only the labels worth showing. Models that were not asked are absent."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """The answer in one word, by model, for the models that have one."""
    prompt: str = ""
    negative: str = ""
    seed: str = ""
    source: str = ""
    """The name of the program that wrote the metadata."""
    generator: str = ""
    """The name of the model that generated the image."""
    notes: str = ""
    time: float = 0.0
    """Seconds since 1970; 0 when unknown."""
    duplicate_of: str = ""
    """The path of the image that this one repeats; empty when it repeats none."""
    unjudged: str = ""
    """What could not be judged, in a few words; empty where the gate reached its verdict."""


@dataclass(frozen=True)
class ShownModel:
    """One model of the run."""

    id: str
    title: str = ""
    fingerprint: str = ""
    ranges: Mapping[str, Range] = field(default_factory=dict)
    """What the numbers of its labels mean; labels without an entry are probabilities."""


@dataclass(frozen=True)
class Unread:
    """One file that could not be read."""

    path: str
    code: str
    reason: str


@dataclass(frozen=True)
class Header:
    """What is true of the whole run."""

    title: str
    gate: str = ""
    models: Sequence[ShownModel] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    """Further counts to show, by name, in order ("from the store": 9000, ...)."""
    duration: float = 0.0
    """Seconds."""
    version: str = ""
    date: str = ""
    """ISO 8601."""
    unread: Sequence[Unread] = ()
    totals: Mapping[Shown, int] = field(default_factory=dict[Shown, int])
    """How many images have each verdict, if the rows are only some of them; empty means that the rows are all."""
    note: str = ""
    """What the page leaves out, as one sentence."""


def link(image: Path, folder: Path) -> str:
    """The address of an image from a report in `folder`: relative, or absolute if no relative path leads there."""
    try:
        relative = os.path.relpath(image, folder)
    except ValueError:  # another drive on Windows
        return image.absolute().as_uri()
    return quote(os.fsencode(relative.replace(os.sep, "/")))


def address_link(address: str) -> str:
    """The link to an image elsewhere; empty if no browser can follow it."""
    return address if address.startswith(("https://", "http://")) else ""


def embed_header(header: Header) -> dict[str, object]:
    """The header as JSON values."""
    return {
        "title": header.title,
        "separator": os.sep,
        "gate": header.gate,
        "models": [[model.id, model.title, model.fingerprint] for model in header.models],
        "counts": [[name, count] for name, count in header.counts.items()],
        "duration": round(header.duration, 2),
        "version": header.version,
        "date": header.date,
        "unread": [[file.path, file.code, file.reason] for file in header.unread],
        "totals": [header.totals.get(verdict, 0) for verdict in VERDICTS] if header.totals else None,
        "note": header.note,
    }


def embed_rows(rows: Sequence[Row], models: Sequence[ShownModel]) -> dict[str, object]:
    """The rows as JSON values: columns, with texts in one shared table, thumbnails left out."""
    table: dict[str, int] = {"": 0}
    columns: dict[str, object] = {
        "path": [row.path for row in rows],
        "href": [row.href for row in rows],
        "verdict": [VERDICTS.index(row.verdict) for row in rows],
        "width": [row.width for row in rows],
        "height": [row.height for row in rows],
        "time": [round(row.time, 1) for row in rows],
    }
    for name in TEXTS:
        columns[name] = [_place(table, getattr(row, name)) for row in rows]
    scores = [_embed_model(model, rows, table) for model in _with_unlisted(models, rows)]
    return {"rows": columns, "scores": scores, "strings": list(table)}


def _with_unlisted(models: Sequence[ShownModel], rows: Iterable[Row]) -> list[ShownModel]:
    known = {model.id: model for model in models}
    for row in rows:
        for name in (*row.scores, *row.labels):
            known.setdefault(name, ShownModel(name))
    return list(known.values())


def _embed_model(model: ShownModel, rows: Sequence[Row], table: dict[str, int]) -> dict[str, object]:
    names: dict[str, int] = {}
    found = [row.scores.get(model.id, {}) for row in rows]
    for scores in found:
        for label in scores:
            _place(names, label)
    filled = sum(map(len, found))
    values: list[object]
    # A tagger names a few of its thousands of labels per image: pairs are then much smaller than columns.
    dense = filled * 3 >= len(names) * sum(map(bool, found))
    if dense:
        values = [[_number(scores.get(label)) for scores in found] for label in names]
    else:
        values = [[part for k, v in scores.items() for part in (names[k], _number(v))] for scores in found]
    return {
        "model": model.id,
        "labels": list(names),
        "ranges": [_range(model.ranges.get(label, PROBABILITY)) for label in names],
        "dense": dense,
        "values": values,
        "words": [_place(table, row.labels.get(model.id, "")) for row in rows],
    }


def _place(table: dict[str, int], text: str) -> int:
    return table.setdefault(text, len(table))


def _range(found: Range) -> list[object]:
    ends = [end if math.isfinite(end) else None for end in (found.low, found.high)]
    return [*ends, found.unit]


def _number(value: float | None) -> float | str | None:
    """Five significant digits; JSON has no NaN or infinity, so these become words."""
    if value is None:
        return None
    return float(f"{value:.5g}") if math.isfinite(value) else str(float(value))
