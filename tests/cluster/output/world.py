"""Outputs of scans as small as they come: made here row by row, as a scan over many machines writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keepers.cluster.output.output import IMAGES, SETTINGS, Output, OutputSettings
from keepers.cluster.output.schema import ImageRow, ModelColumn, to_table
from keepers.cluster.sources.item import SourceItem, uri_of
from keepers.collection.store import SeenImage
from keepers.core.gates.gate import Gate, Verdict
from keepers.core.prediction import Answer, Labels, Prediction

TAGS = Labels(("cat", "dog", "fox", "owl"), drifts=(("", 0.02),))
NICE = Labels(("good", "bad"), drifts=(("", 0.01),))
FULL = ModelColumn("nice", "f-nice", NICE)
SPARSE = ModelColumn("tags", "f-tags", TAGS, 0.25, ("owl",))
GATE = "accept: nice.good >= 0.5"


def content(number: int) -> str:
    return hashlib.sha256(f"image {number}".encode()).hexdigest()


def said(column: ModelColumn, *values: float, **more: Any) -> Prediction:
    best = column.labels.names[int(np.nanargmax(values))]
    return Prediction(
        column.model, column.labels, np.array(values, np.float32), best, fingerprint=column.fingerprint, **more
    )


def row(
    number: int,
    *answers: Answer,
    gate: str = GATE,
    uri: str = "",
    item: SourceItem | None = None,
    error: str = "",
    prompt: str = "",
    **more: Any,
) -> ImageRow:
    """An image, with the verdict that a gate gives it."""
    by_model = {answer.model: answer for answer in answers}
    verdict = Gate.parse(gate).decide(by_model).verdict if not error else Verdict("review", f"review: {error}")
    assert verdict, "the gate's models must have answered"
    image = SeenImage(content(number), 64, 48, prompt, seed=str(number))
    place = item or SourceItem(uri or f"s3://bucket/{number:04d}.png", size=9, mtime_ns=10**18)
    return ImageRow(place, image, verdict, error, by_model, **more)


def write(
    where: str | Path,
    rows: Iterable[ImageRow],
    models: Sequence[ModelColumn] = (FULL, SPARSE),
    *,
    gate: str = GATE,
    parts: int = 2,
) -> Output:
    """An output with its rows in several files."""
    output = Output.at(str(where))
    settings = OutputSettings(str(Gate.parse(gate)), True, models=tuple(models))
    output.write(json.dumps(settings.facts()).encode(), SETTINGS)
    listed = list(rows)
    for part in range(parts):
        output.write_rows(to_table(listed[part::parts], models))
    return Output.at(str(where))


def item_of(path: Path) -> SourceItem:
    """A file of this machine as a scan lists it."""
    found = path.stat()
    return SourceItem(uri_of(path), size=found.st_size, mtime_ns=found.st_mtime_ns)


def damage(output: Output) -> str:
    """Cut one of its files off in the middle; gives its name."""
    name = output.parts()[0]
    path = Path(output.path(IMAGES, name))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return name
