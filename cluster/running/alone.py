"""Images that kept killing workers are tried once more, one at a time. If that dies too, the image is an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import RayError

from ..output.manifest import PART, Survey, items_from, to_do
from ..output.output import MANIFEST, Output
from ..sources.item import SourceItem
from .connect import is_death, worker_error
from .pools import Pools
from .stages import Classify, Look, Prepare, Write, column
from .task import Task
from .work import Work

CRASHED = "crashed"
_FLAW = "it cannot be judged: the process that looks at it dies each time; memory runs out, or the file is damaged"


def look_alone(task: Task, pools: Pools, output: Output, state: Survey) -> None:
    """Scans what is missing, one image after the other, in one process, which is replaced if it dies.

    Raises KeepersError if the process dies before it has seen any image, and for anything else that stops it.
    """
    left = list(_missing(output, state))
    looking: Any = ray.remote(num_cpus=1, num_gpus=pools.gpus, max_retries=0, num_returns="streaming")(_look_at_each)
    while left:
        ready = done = 0
        try:
            for reference in looking.remote(task, output.where, left):
                ready, done = 1, done + int(ray.get(reference))
        except RayError as error:
            if not (ready and is_death(error)):
                raise worker_error(error) from error
            _write_crashed(task, output, left[done])
            done += 1
        left = left[done:]


def _missing(output: Output, state: Survey) -> Iterator[SourceItem]:
    for number, part in enumerate(output.parts(MANIFEST)):
        found = to_do(output, part, number * PART, state.missing)
        yield from items_from({name: found[name].to_numpy() for name in found.column_names})


def _look_at_each(task: Task, where: str, left: Sequence[SourceItem]) -> Iterator[int]:
    """Yields 0 when all models are loaded, then 1 for every image written."""
    look, write, nets = Look(task), Write(task, where), []
    for number, model in enumerate(task.staged):
        nets += [Prepare(task, model)] * (number > 0) + [Classify(task, model)]
    yield 0
    for item in left:
        batch = look.each([item])
        for stage in nets:
            batch = stage(batch)
        write(batch)
        yield 1


def _write_crashed(task: Task, output: Output, item: SourceItem) -> None:
    Write(task, output.where)(column([Work(item, error=CRASHED, flaw=_FLAW)]))
