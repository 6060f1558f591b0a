"""The end of a scan on a cluster: near-duplicates across all images, the verdicts they change, and the counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import ray
import ray.data
from ray.data import Dataset
from ray.exceptions import RayError

from ..output.manifest import Survey
from ..output.output import Output
from ..output.schema import ModelColumn
from .connect import worker_error
from .duplicates import banded, hashes, meetings, named_duplicates
from .settle import Counts, count_part, settle_part
from .stages import Write
from .task import Task

SMALL = 20_000
"""Up to so many images, comparing all pairs is faster than starting a join."""
NOBODY = -1
"""The number that stands for no image."""


def settle_all(task: Task, output: Output, shared: Any, inputs: int) -> None:
    """Finds near-duplicates, and decides the images that they affect again. Raises KeepersError."""
    parts = output.parts()
    column = next(one for one in task.columns if task.tried[one.model].compared)
    try:
        nearest = nearest_earlier(output, parts, column, shared, small=inputs <= SMALL)
        naming: Any = ray.remote(_named)
        work = partial(_settle_parts, task, output, shared, naming.remote(output, *nearest))
        for _ in _over(parts, work).iter_rows():
            pass
    except RayError as error:
        raise worker_error(error) from error


def nearest_earlier(
    output: Output, parts: Sequence[str], column: ModelColumn, shared: Any, *, small: bool
) -> list[Any]:
    """The rank of the nearest earlier image of every near-duplicate: "number", "rank" (see `duplicates.meetings`).

    Returns references to blocks, which may contain rows of NOBODY. If `small`, all images are compared in one task.
    """
    if small:
        meeting: Any = ray.remote(_all_meet)
        return [meeting.remote(output, parts, column, shared)]
    spread: Any = _spread
    meet: Any = _meet
    images = _over(parts, partial(_hashes, output, column, shared))
    bands = images.map_batches(spread, batch_format="numpy")
    met = bands.groupby("band").map_groups(meet, batch_format="numpy")
    return met.groupby("number").min("rank").rename_columns({"min(rank)": "rank"}).to_numpy_refs()


def _spread(images: Mapping[str, Any]) -> Mapping[str, Any]:
    """As `banded`, plus one row that meets no other: Ray forgets the columns of a block without rows."""
    none = {"band": [-1], "number": [NOBODY], "bits": np.zeros(1, dtype=np.uint64)}
    found = banded(images)
    return {name: np.concatenate([found[name], none[name]]) for name in found}


def _meet(images: Mapping[str, Any]) -> Mapping[str, Any]:
    """As `meetings`, with one row of NOBODY if none meet, for the same reason."""
    found = meetings(images)
    return found if len(found["number"]) else {"number": np.array([NOBODY]), "rank": np.zeros(1, dtype=np.int64)}


def _all_meet(output: Output, parts: Sequence[str], column: ModelColumn, state: Survey) -> Mapping[str, Any]:
    each = [hashes(output, part, column, state.listing) for part in parts]
    return meetings(_joined(each, ("number", "bits")))


def _joined(blocks: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Blocks joined into one; Ray passes empty ones without columns."""
    return {
        name: np.concatenate([block[name] for block in blocks if len(block)] or [np.zeros(0, np.int64)])
        for name in names
    }


def _over(parts: Sequence[str], work: Any) -> Dataset:
    """Applies some work to every file of the output."""
    names = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=max(1, min(len(parts), 200)))
    return names.map_batches(work, batch_size=1, batch_format="numpy")


def _hashes(output: Output, column: ModelColumn, shared: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    state: Survey = ray.get(shared)
    (part,) = batch["part"].tolist()
    return hashes(output, part, column, state.listing)


def _named(output: Output, *blocks: Mapping[str, Any]) -> Any:
    nearest = _joined(blocks, ("number", "rank"))
    somebody = nearest["number"] != NOBODY
    return named_duplicates(output, {name: column[somebody] for name, column in nearest.items()})


def _settle_parts(task: Task, output: Output, shared: Any, found: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    state: Survey = ray.get(shared)
    write = Write(task, output.where)
    return {"changed": [settle_part(output, part, write, state.listing, ray.get(found)) for part in batch["part"]]}


def count_all(output: Output, shared: Any) -> Counts:
    """What became of the inputs, counted from the files themselves. Raises KeepersError."""
    try:
        each = _over(output.parts(), partial(_count_parts, output, shared)).iter_rows()
        return sum((Counts(**counts) for counts in each), Counts())
    except RayError as error:
        raise worker_error(error) from error


def _count_parts(output: Output, shared: Any, batch: Mapping[str, Any]) -> Mapping[str, Any]:
    state: Survey = ray.get(shared)
    counts = [vars(count_part(output, part, state.listing, state.missing)) for part in batch["part"]]
    return {name: [one[name] for one in counts] for name in vars(Counts())}
