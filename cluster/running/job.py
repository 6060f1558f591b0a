"""A whole scan on a cluster: list the inputs, skip what is done, judge, write, settle near-duplicates, count."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any, Protocol

import ray
import ray.data
from ray.data import ActorPoolStrategy, DataContext, Dataset
from ray.data.context import ShuffleStrategy
from ray.exceptions import RayError

from ...collection.reading import window_of
from ...core.captions.recipe import CaptionRecipe
from ...core.pictures.walk import Search
from ..output.manifest import PART, Listed, Survey, survey, to_do, write_manifest
from ..output.output import IMAGES, MANIFEST, SETTINGS, SUMMARY, Output, OutputError, OutputSettings
from ..output.strayed import tolerances
from ..planning.inline import inline
from ..planning.planner import LEAST_BLOCK
from .alone import look_alone
from .connect import ClusterNode, precision, prepare_nodes, task_result, try_models, version, worker_error
from .finish import count_all, distrust_all, settle_all
from .pools import Pools, plan_pools
from .settle import Counts
from .stages import Classify, Look, Prepare, Write
from .task import Task

LEAST_ROWS, MOST_ROWS = 16, 1024
"""Rows of a written file: few if a net is slow, so that little is lost; many if it is fast."""
LOSS = 60.0
"""Seconds of work that one file holds."""
RETRIES = 60
"""How many workers may die over the same images before these are left for later; Ray itself would retry for ever. A
lost machine uses up about one retry per second until Ray notices."""
ENDLESS = 2, 64
"""From this version on, Ray offers no way to limit the retries."""
LATER = 8
"""How many blocks of images may be left for later before the scan stops: beyond that, the images are not the cause."""


class ScanWatcher(Protocol):
    """Receives the progress of a scan."""

    def phase(self, what: str) -> None:
        """A new phase begins."""
        ...

    def listed(self, count: int) -> None:
        """The number of inputs listed so far."""
        ...

    def passed_by(self, told: str) -> None:
        """What the list leaves out because it is hidden, as a sentence."""
        ...

    def begin(self, todo: int, skipped: int, pools: Pools) -> None:
        """The numbers of inputs to scan and to skip are known."""
        ...

    def done(self, counts: Mapping[str, int]) -> None:
        """More images were written, by outcome."""
        ...


@dataclass(frozen=True)
class Sources:
    """What is scanned."""

    uris: Sequence[str]
    search: Search = field(default_factory=Search)
    column: str = ""
    """The column of Parquet files that holds the image."""


@dataclass(frozen=True)
class Workers:
    """How many workers the user asks for; 0 means automatic."""

    actors: int = 0
    gpus_per_actor: float = 0.0


@dataclass(frozen=True)
class Finished:
    """The result of a scan."""

    counts: Counts
    damaged: Sequence[str] = ()
    """Files of the output that could not be read and were set aside; their images were scanned again."""
    strayed: Sequence[str] = ()
    """Which fast numbers of the output were further off than stated, a line for each model."""


def run_scan(
    task: Task, sources: Sources, where: str, nodes: Sequence[ClusterNode], workers: Workers, watcher: ScanWatcher
) -> Finished:
    """Scans into an output, continuing from what it already holds.

    Raises KeepersError for anything that stops it. What was written by then stays, and the next run continues from it.
    """
    output = Output.at(where)
    _adjust()
    watcher.phase("models")
    task, pools = _with_models(task, nodes, workers)
    _agree(output, task)
    watcher.phase("listing")
    inputs = _list(output, sources, watcher)
    state = _survey(output)
    task = replace(task, tolerances=tolerances(state.strayed, task.columns))
    todo = int(state.missing.sum())
    watcher.begin(todo, inputs - todo, pools)
    shared = ray.put(state)
    output.remove(SUMMARY)
    if todo:
        _look_at_all(task, pools, output, shared, todo, watcher)
        left = _survey(output, forget=False)
        if left.missing.any():
            watcher.phase("alone")
            look_alone(task, pools, output, left)
    if task.compares:
        watcher.phase("near-duplicates")
        settle_all(task, output, shared)
    watcher.phase("accounting")
    strayed = {} if task.precision == "exact" else distrust_all(task, output)
    counts = replace(count_all(output, shared), listed=inputs, skipped=inputs - todo)
    output.write(json.dumps({**vars(counts), "strayed": [off._asdict() for off in strayed.values()]}).encode(), SUMMARY)
    told = [off.told(task.tried[model].labels) for model, off in strayed.items()]
    return Finished(counts, state.damaged, told)


def _adjust() -> None:
    """Sets up Ray Data: quiet, and joining by sorting (its hash shuffle fails on a part without rows)."""
    context = DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.shuffle_strategy = ShuffleStrategy.SORT_SHUFFLE_PULL_BASED
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # failures are raised, and reported once


def _with_models(task: Task, nodes: Sequence[ClusterNode], workers: Workers) -> tuple[Task, Pools]:
    """The task with its models found and tried. Raises KeepersError."""
    models = tuple(dict.fromkeys((*task.parsed.models, *task.taggers)))
    prepare_nodes(task, models, nodes)
    pools = plan_pools(
        nodes, stages_of(task, models), workers.actors, workers.gpus_per_actor, cpu=task.device.startswith("cpu")
    )
    task = replace(task, threads=pools.threads, precision=precision(task, pools.gpus))
    task = replace(task, models=try_models(task, models, pools.gpus))
    return task, pools


def stages_of(task: Task, models: Sequence[str]) -> int:
    """How many models get a stage of their own: what the length of `Task.staged` will be once all were tried."""
    in_turn = sorted(map(task.spec, task.parsed.models), key=lambda spec: spec.cost)
    return len(models) - len(inline(in_turn))


def _agree(output: Output, task: Task) -> None:
    """Writes the settings of a new output, or checks that they match. Raises OutputError."""
    settings = settings_of(task)
    there = output.settings
    if there is None:
        if output.parts():
            raise OutputError(f"{output.where}/{IMAGES} holds files, but {SETTINGS} is not there: name another folder.")
        output.settle(settings)
        return
    differences = there.differences(settings)
    if differences:
        raise OutputError(
            f"{output.where} holds results of another scan: {'; '.join(differences)}\n"
            "Results are never mixed: name another folder with --out, or delete this one."
        )
    if not there.states(settings):
        output.settle(settings)


def settings_of(task: Task) -> OutputSettings:
    """What all rows of a task's output have in common."""
    captions = _recipe_text(task.recipe) if task.recipe else ""
    return OutputSettings(str(task.parsed), task.precision == "exact", task.everything, task.columns, captions)


def _recipe_text(recipe: CaptionRecipe) -> str:
    """A caption recipe as outputs store it. It is part of the file format: the class may be renamed, this text not."""
    return f"Recipe({', '.join(f'{one.name}={getattr(recipe, one.name)!r}' for one in fields(recipe))})"


def _list(output: Output, sources: Sources, watcher: ScanWatcher) -> int:
    """Writes the manifest in a worker, since the list may exceed the memory here. Returns the number of inputs."""
    listing: Any = ray.remote(num_cpus=0.5, num_returns="streaming")(write_manifest)
    count, told = 0, ""
    try:
        for reference in listing.remote(output, sources.uris, sources.search, sources.column):
            listed: Listed = ray.get(reference)
            count, told = listed
            watcher.listed(count)
    except RayError as error:
        raise worker_error(error, "the cluster while listing") from error
    if told:
        watcher.passed_by(told)
    return count


def _survey(output: Output, *, forget: bool = True) -> Survey:
    surveying: Any = ray.remote(num_cpus=0.5)(survey)
    return task_result(surveying.remote(output, forget=forget), "the output")


# --- looking ---------------------------------------------------------------------------------------------------------


def _look_at_all(task: Task, pools: Pools, output: Output, shared: Any, todo: int, watcher: ScanWatcher) -> None:
    watcher.phase("scanning")
    rows, context = _rows_in_a_file(task, pools, todo), DataContext.get_current()
    context.max_errored_blocks = LATER
    try:
        for counts in pipeline(task, pools, output, shared, rows).iter_rows():
            watcher.done(counts)
    except RayError as error:
        raise worker_error(error) from error
    finally:
        context.max_errored_blocks = 0


def _rows_in_a_file(task: Task, pools: Pools, todo: int) -> int:
    seconds = sum(one.seconds for one in task.models) / max(1, pools.actors) + 0.01
    rows = min(int(LOSS / seconds), MOST_ROWS, max(LEAST_ROWS, todo // 20))
    return max(LEAST_ROWS, rows)


def pipeline(task: Task, pools: Pools, output: Output, shared: Any, rows: int) -> Dataset:
    """The stages as a Ray Data pipeline, which starts only when its result is read."""
    cpu: dict[str, Any] = {"num_cpus": pools.share}
    net: dict[str, Any] = {"num_cpus": 0, "num_gpus": pools.gpus} if pools.gpus else cpu
    window = window_of(task.batch)
    block = -(-LEAST_BLOCK // window) * window
    found = _manifest(output, shared).repartition(target_num_rows_per_block=block)
    found = _stage(found, Look, (task,), _pool(pools.looks), **cpu)
    for number, model in enumerate(task.staged):
        if number:
            found = _stage(found, Prepare, (task, model), _pool(pools.prepares), **cpu)
        rows_at_once = block if pools.gpus else None  # None takes blocks as they come; with GPUs Ray needs a number
        found = _stage(found, Classify, (task, model), ActorPoolStrategy(size=pools.actors), rows_at_once, **net)
    return _stage(found, Write, (task, output.where), _pool(pools.writes), rows=rows, **cpu)


def _stage(
    found: Dataset, kind: Any, given: tuple[Any, ...], pool: Any, rows: int | None = None, **asked: Any
) -> Dataset:
    if version() < ENDLESS:
        asked["max_task_retries"] = RETRIES
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Ray already warns that it will drop this option
        return found.map_batches(
            kind, batch_size=rows, batch_format="numpy", compute=pool, fn_constructor_args=given, **asked
        )


def _pool(most: int) -> ActorPoolStrategy:
    return ActorPoolStrategy(min_size=1, max_size=most)


def _manifest(output: Output, shared: Any) -> Dataset:
    """The rows of the manifest that still have to be scanned, in order."""
    parts = output.parts(MANIFEST)
    listed = ray.data.range(len(parts), override_num_blocks=max(1, min(len(parts), 1000)))
    opened: Any = partial(_open_manifest, output, parts, shared)
    return listed.map_batches(opened, batch_size=1, num_cpus=0, concurrency=1)


def _open_manifest(output: Output, parts: list[str], shared: Any, batch: Mapping[str, Any]) -> Iterator[Any]:
    state: Survey = ray.get(shared)
    for number in batch["id"].tolist():
        yield to_do(output, parts[number], number * PART, state.missing)
