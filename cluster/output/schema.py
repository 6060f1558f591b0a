"""What a scan on a cluster writes: the columns of its Parquet files, and rows to and from them."""

# pyright: reportUnknownParameterType=false
# pyarrow has no type stubs.
from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from ...collection.store import SeenImage
from ...core.errors import encodable
from ...core.gates.gate import Verdict
from ...core.gates.tree import Outcome
from ...core.gates.unjudged import from_tables
from ...core.judging.near_duplicates import Twin
from ...core.judging.spot_checks import Off
from ...core.prediction import Answer, Failure, Floats, Labels, Prediction, Twins, restored
from ..sources.item import SourceItem

FORMAT = 1
"""Increased when a reader of the old columns would misread the new ones."""

_TEXT, _TEXTS = pa.string(), pa.list_(pa.string())
_FAILURE = pa.struct([("model", _TEXT), ("code", _TEXT), ("reason", _TEXT)])
_OFF = pa.struct([("model", _TEXT), ("label", _TEXT), ("fast", pa.float64()), ("exact", pa.float64())])
_OFF_NAMES = ("model", "label", "fast", "exact")
_UNJUDGED = pa.struct([("model", _TEXT), ("kind", _TEXT), ("reason", _TEXT), ("label", _TEXT)])
COLUMNS = pa.schema(
    [
        ("key", pa.binary(16)),  # of the input: address, size and modification time
        ("uri", _TEXT),
        ("member", _TEXT),  # the name in a tar, the row of a Parquet file; else empty
        ("offset", pa.int64()),  # in a tar; the row group of a Parquet file
        ("length", pa.int64()),
        ("size", pa.int64()),  # of the file or container
        ("mtime_ns", pa.int64()),
        ("column", _TEXT),  # of a Parquet file
        ("content", _TEXT),  # sha256 of the image's bytes, hex; empty where they could not be read
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("quality", pa.int16()),  # how little compression has cost: 1 to 100, 101 for lossless, 0 unknown
        ("prompt", _TEXT),
        ("negative", _TEXT),
        ("seed", _TEXT),
        ("sampler", _TEXT),
        ("generator", _TEXT),  # the name of the model that generated the image
        ("source", _TEXT),  # what wrote the metadata: a1111, comfyui, keepers
        ("notes", _TEXTS),
        ("verdict", _TEXT),  # accept, review, reject
        ("reason", _TEXT),
        ("error", _TEXT),  # why the image is unreadable, as a code; empty otherwise
        ("duplicate_of", _TEXT),  # the better image that looks the same and is kept instead; empty otherwise
        ("distance", pa.int8()),  # in how many of 64 bits the two differ; null otherwise
        ("duplicates", _TEXTS),  # all others that look the same, the better first; of very many, only the first
        ("caption", _TEXT),  # null if none was requested
        ("failures", pa.list_(_FAILURE)),  # of models that could not judge this image
        ("unjudged", pa.list_(_UNJUDGED)),  # what left the verdict open; empty if the gate reached it
        ("strayed", pa.list_(_OFF)),  # fast numbers further off than stated, of images also computed exactly
        ("unsure", _TEXTS),  # models whose fast numbers no longer bear the verdict; it is looked at again next time
    ]
)
"""The columns of every file; a column for each model follows (see `ModelColumn.type`)."""
MANIFEST_COLUMNS = pa.schema(
    [
        ("key", pa.binary(16)),
        *((name, _TEXT) for name in ("uri", "member", "column", "code", "flaw")),
        *((name, pa.int64()) for name in ("offset", "length", "size", "mtime_ns")),
    ]
)
"""The columns of the list of inputs."""


@dataclass(frozen=True)
class ModelColumn:
    """How the predictions of one model are stored in a file."""

    model: str
    fingerprint: str
    labels: Labels
    floor: float | None = None
    """For taggers: values below it are left out, except for the `kept` labels. None keeps all, as a fixed-size list."""
    kept: tuple[str, ...] = ()
    """Labels whose values are always kept: those that the gate reads."""

    @property
    def type(self) -> pa.DataType:
        """A struct; null if the model was not asked."""
        details = [("label", _TEXT), ("margin", pa.float64()), ("tolerance", pa.float64())]
        if self.floor is None:
            return pa.struct([("values", pa.list_(pa.float32(), len(self.labels))), *details])
        return pa.struct([("tags", pa.list_(pa.int32())), ("scores", pa.list_(pa.float32())), *details])


@dataclass(frozen=True)
class ImageRow:
    """One image of an output, in memory."""

    item: SourceItem
    image: SeenImage
    verdict: Verdict
    error: str = ""
    answers: Mapping[str, Answer] = field(default_factory=dict[str, Answer])
    """By model. Values that depend on other images of the run (near-duplicates) are not yet settled."""
    caption: str | None = None
    duplicate_of: str = ""
    distance: int | None = None
    duplicates: tuple[str, ...] = ()
    key: bytes = b""
    """As stored; empty means the item's own."""
    strayed: tuple[Off, ...] = ()
    """Fast numbers that were further off than stated."""
    unsure: tuple[str, ...] = ()
    """Models whose fast numbers no longer bear the verdict: it is not final."""

    @property
    def twin(self) -> Twin | None:
        """Its place among its near-duplicates; None if it has none."""
        if not self.duplicate_of and not self.duplicates:
            return None
        return Twin(self.distance or 0, Twins(self.duplicate_of, self.duplicates, max(1, len(self.duplicates))))


def file_schema(models: Iterable[ModelColumn]) -> pa.Schema:
    """The whole schema of a file."""
    return pa.schema([*COLUMNS, *(pa.field(one.model, one.type) for one in models)])


def to_table(rows: Sequence[ImageRow], models: Sequence[ModelColumn]) -> pa.Table:
    """Rows as a table to be written."""
    return pa.Table.from_pylist([_encoded(row, models) for row in rows], schema=file_schema(models))


def from_table(found: pa.Table, models: Sequence[ModelColumn]) -> list[ImageRow]:
    """The rows of a table. Fields of missing columns stay empty, so that readers may ask for only a few columns.

    A sparse prediction comes back with 0 for values left out, that is, those below `ModelColumn.floor`.
    """
    there = [one for one in models if one.model in found.column_names]
    return [_decoded(row, there) for row in found.to_pylist()]


def _encoded(row: ImageRow, models: Sequence[ModelColumn]) -> dict[str, Any]:
    item, image = row.item, row.image
    failures = [answer for answer in row.answers.values() if isinstance(answer, Failure)]
    return {
        "key": row.key or item.key,
        "uri": item.uri,
        "member": item.member,
        "offset": item.offset,
        "length": item.length,
        "size": item.size,
        "mtime_ns": item.mtime_ns,
        "column": item.column,
        "content": image.content,
        "width": image.width,
        "height": image.height,
        "quality": image.quality,
        "prompt": encodable(image.positive),
        "negative": encodable(image.negative),
        "seed": encodable(image.seed),
        "sampler": encodable(image.sampler),
        "generator": encodable(image.model),
        "source": encodable(image.source),
        "notes": [encodable(note) for note in image.notes],
        "verdict": row.verdict.outcome,
        "reason": encodable(row.verdict.reason),
        "error": row.error,
        "duplicate_of": row.duplicate_of,
        "distance": row.distance,
        "duplicates": [encodable(name) for name in row.duplicates],
        "caption": None if row.caption is None else encodable(row.caption),
        "failures": [{"model": one.model, "code": one.code, "reason": encodable(one.reason)} for one in failures],
        "unjudged": [{name: encodable(value) for name, value in vars(one).items()} for one in row.verdict.unjudged],
        "strayed": [{name: getattr(off, name) for name in _OFF_NAMES} for off in row.strayed],
        "unsure": list(row.unsure),
        **{one.model: _packed(row.answers.get(one.model), one) for one in models},
    }


def _packed(answer: Answer | None, column: ModelColumn) -> dict[str, Any] | None:
    if not isinstance(answer, Prediction):
        return None
    details = {"label": answer.label, "margin": float(answer.margin), "tolerance": float(answer.tolerance)}
    if column.floor is None:
        return {"values": answer.values, **details}
    kept = ~(answer.values < np.float32(column.floor))  # NaN is kept: it means that the model could not judge
    kept[[column.labels.index(label) for label in column.kept]] = True
    places = np.flatnonzero(kept)
    return {"tags": places.astype(np.int32), "scores": answer.values[places], **details}


def _decoded(row: Mapping[str, Any], models: Sequence[ModelColumn]) -> ImageRow:
    offset, length, size, mtime = (row.get(name) or 0 for name in ("offset", "length", "size", "mtime_ns"))
    item = SourceItem(
        row.get("uri") or "", row.get("member") or "", offset, length, size, mtime, row.get("column") or ""
    )
    texts = [row.get(name) or "" for name in ("prompt", "negative", "seed", "sampler", "generator", "source")]
    sides = row.get("width") or 0, row.get("height") or 0
    notes, quality = tuple(row.get("notes") or ()), row.get("quality") or 0
    image = SeenImage(row.get("content") or "", *sides, *texts, notes=notes, quality=quality)
    answers: dict[str, Answer] = {one["model"]: Failure(**one) for one in row.get("failures") or ()}
    answers |= {one.model: _unpacked(found, one) for one in models if (found := row[one.model]) is not None}
    verdict = Verdict(outcome(row.get("verdict") or ""), row.get("reason") or "", from_tables(row.get("unjudged")))
    twins = row.get("duplicate_of") or "", row.get("distance"), tuple(row.get("duplicates") or ())
    strayed = tuple(Off(item.name, **one) for one in row.get("strayed") or ())
    others = row.get("key") or b"", strayed, tuple(row.get("unsure") or ())
    return ImageRow(item, image, verdict, row.get("error") or "", answers, row.get("caption"), *twins, *others)


def _unpacked(found: Mapping[str, Any], column: ModelColumn) -> Prediction:
    values: Floats
    if column.floor is None:
        values = np.array(found["values"], dtype=np.float32)
    else:
        values = np.zeros(len(column.labels), dtype=np.float32)
        values[found["tags"]] = found["scores"]
    details = found["label"], found["margin"], found["tolerance"]
    return restored(column.model, column.labels, values, *details, column.fingerprint)


def outcome(text: str) -> Outcome:
    """A verdict from its stored word; anything unknown is review."""
    return "accept" if text == "accept" else "reject" if text == "reject" else "review"
