"""Near-duplicates among all images of an output, by the same comparison as in a plain scan.

Workers read what decides between images, file by file; one of them then compares all: about 200 bytes an image, and a
time that grows near-linearly.
"""

# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false
# pyarrow has no type stubs, and creates its functions at run time.
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...core.gates.number import gate_number
from ...core.judging.better import Merits, is_intermediate
from ...core.judging.near_duplicates import Members, settle_places, words_in
from ..output.manifest import Listing
from ..output.output import MANIFEST, Output
from ..output.schema import ModelColumn, from_table

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .task import Task

Columns = Mapping[str, "NDArray[Any]"]
FACTS = ("key", "uri", "member", "width", "height", "quality", "mtime_ns")
NONE = -1
"""The distance of an image that is kept."""


def compared(output: Output, part: str, column: ModelColumn, listing: Listing, task: Task) -> dict[str, Any]:
    """The comparable images of one file: "number" in the manifest, "words", and what `Merits` takes.

    Raises OutputError.
    """
    found = output.part(part, [*FACTS, column.model])
    numbers, _ = listing.find(found["key"])
    predicted = found[column.model].combine_chunks()
    ok = pc.equal(predicted.field("label"), "ok").fill_null(False)
    usable = pc.and_(pc.and_(predicted.is_valid(), ok), pa.array(numbers >= 0))
    mine = found.filter(usable)
    values = predicted.filter(usable).field("values").flatten().to_numpy().reshape(-1, len(column.labels))
    names = map(_name, mine["uri"].to_pylist(), mine["member"].to_pylist())
    chosen = usable.to_numpy(zero_copy_only=False)
    return {
        "number": numbers[chosen],
        "words": words_in(values, column.labels),
        "pixels": mine["width"].to_numpy().astype(np.int64) * mine["height"].to_numpy(),
        "quality": mine["quality"].to_numpy(),
        "intermediate": np.array([is_intermediate(name) for name in names], dtype=np.bool_),
        "time_ns": mine["mtime_ns"].to_numpy(),
        "gate": _gate_numbers(output, part, task)[chosen],
    }


def _gate_numbers(output: Output, part: str, task: Task) -> NDArray[np.float64]:
    """What the gate reads of each image of a file, if that decides which one is kept."""
    found = gate_number(task.parsed) if task.keep == "best" else None
    column = next((one for one in task.columns if found and one.model == found.value.model), None)
    rows = output.part(part, [column.model] if column else ["key"])
    if found is None or column is None:
        return np.full(len(rows), np.nan)
    return np.array([found.of(row.answers) for row in from_table(rows, [column])], dtype=np.float64)


def joined(each: Sequence[Columns]) -> dict[str, Any]:
    """The images of all files, in the order of the manifest. Images that are there twice count once."""
    if not each:
        return {}
    whole = {name: np.concatenate([one[name] for one in each]) for name in each[0]}
    _, firsts = np.unique(whole["number"], return_index=True)
    return {name: column[firsts] for name, column in whole.items()}


def groups(images: Columns, task: Task) -> list[Members]:
    """The groups of near-duplicates among images, by their places."""
    if not images:
        return []
    merits = Merits(images["pixels"], images["quality"], images["intermediate"], images["time_ns"])
    return settle_places(images["words"], merits, task.keep, lambda places: images["gate"][list(places)])


def named_duplicates(output: Output, images: Columns, found: Sequence[Members]) -> pa.Table:
    """What becomes of the images of each group, ordered by number.

    "number"; "duplicate_of", the name of the image that is kept instead, empty for that itself; "distance" to it, or
    NONE; "duplicates", the names of the others. Raises OutputError.
    """
    numbers = images["number"] if found else np.zeros(0, dtype=np.int64)
    names = dict(_names(output, np.unique(numbers[[place for members in found for place in members.places]])))
    rows: list[tuple[int, str, int, list[str]]] = []
    for members in found:
        called = [names[int(numbers[place])] for place in members.places]
        for place, twin in zip(members.places, members.twins(called), strict=True):
            kept = twin.twins.kept
            rows.append((int(numbers[place]), kept, twin.distance if kept else NONE, list(twin.twins.others)))
    rows.sort()
    types = {
        "number": pa.int64(),
        "duplicate_of": pa.string(),
        "distance": pa.int8(),
        "duplicates": pa.list_(pa.string()),
    }
    return pa.table({name: pa.array([row[at] for row in rows], kind) for at, (name, kind) in enumerate(types.items())})


def _name(uri: str, member: str) -> str:
    return f"{uri}#{member}" if member else uri


def _names(output: Output, numbers: NDArray[np.int64]) -> Iterator[tuple[int, str]]:
    """The names of some inputs, file by file of the manifest."""
    first = 0
    for part in output.parts(MANIFEST) if len(numbers) else ():
        found = output.part(part, ["uri", "member"], MANIFEST)
        inside = numbers[(numbers >= first) & (numbers < first + len(found))]
        for number, one in zip(inside.tolist(), found.take(pa.array(inside - first)).to_pylist(), strict=True):
            yield number, _name(one["uri"], one["member"])
        first += len(found)
