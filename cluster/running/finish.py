"""The end of a scan on a cluster: near-duplicates across all images, the verdicts they change, and the counts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import ray
import ray.data
from ray.data import Dataset
from ray.exceptions import RayError

from ...core.judging.spot_checks import Off
from ..output.manifest import Survey
from ..output.output import Output
from ..output.schema import ModelColumn
from ..output.strayed import STRAYED, furthest, strays, tolerances
from .connect import worker_error
from .distrust import distrust_part
from .duplicates import compared, groups, joined, named_duplicates
from .settle import Counts, count_part, settle_part
from .stages import Write
from .task import Task

AT_ONCE = 200
"""Into how many tasks reading the files is divided at most."""


def settle_all(task: Task, output: Output, shared: Any) -> None:
    """Finds near-duplicates, and decides the images that they affect again. Raises KeepersError."""
    parts = output.parts()
    column = next(one for one in task.columns if task.tried[one.model].compared)
    try:
        reading: Any = ray.remote(_compared)
        comparing: Any = ray.remote(_found)
        each = [reading.remote(output, share, column, shared, task) for share in _shares(parts)]
        work = partial(_settle_parts, task, output, shared, comparing.remote(output, task, *each))
        for _ in _over(parts, work).iter_rows():
            pass
    except RayError as error:
        raise worker_error(error) from error


def _compared(
    output: Output, parts: Sequence[str], column: ModelColumn, state: Survey, task: Task
) -> Mapping[str, Any]:
    return joined([compared(output, part, column, state.listing, task) for part in parts])


def _found(output: Output, task: Task, *each: Mapping[str, Any]) -> Any:
    images = joined([one for one in each if one])
    return named_duplicates(output, images, groups(images, task))


def distrust_all(task: Task, output: Output) -> dict[str, Off]:
    """Trusts the output's fast numbers less if some strayed. Returns the furthest off by model. Raises KeepersError."""
    parts = output.parts()
    reading: Any = ray.remote(_strayed)
    try:
        each: list[list[Off]] = ray.get([reading.remote(output, share) for share in _shares(parts)])
        found = furthest(itertools.chain.from_iterable(each), task.columns)
        if found:
            for _ in _over(parts, partial(_distrust_parts, task, output, tolerances(found, task.columns))).iter_rows():
                pass
    except RayError as error:
        raise worker_error(error) from error
    return found


def _strayed(output: Output, parts: Sequence[str]) -> list[Off]:
    return [off for part in parts for off in strays(output.part(part, STRAYED))]


def _distrust_parts(
    task: Task, output: Output, wider: Mapping[str, float], batch: Mapping[str, Any]
) -> Mapping[str, Any]:
    write = Write(task, output.where)
    return {"changed": [distrust_part(output, part, write, wider) for part in batch["part"]]}


def _shares(parts: Sequence[str]) -> list[Sequence[str]]:
    return [parts[first::AT_ONCE] for first in range(min(AT_ONCE, len(parts)))]


def _over(parts: Sequence[str], work: Any) -> Dataset:
    """Applies some work to every file of the output."""
    names = ray.data.from_items([{"part": part} for part in parts], override_num_blocks=max(1, min(len(parts), 200)))
    return names.map_batches(work, batch_size=1, batch_format="numpy")


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
