"""`keepers scan --engine ray`: the same scan on many machines, into Parquet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.captions.recipe import CaptionRecipe
from ...core.errors import KeepersError, MissingWeights
from ...core.gates.gate import Gate
from ...core.judging.better import KeepDuplicate
from ...core.pictures.walk import Search
from ...models.registry import REGISTRY
from .. import exit_codes
from ..console import console
from ..machine import Machine
from ..recipe import recipe_from
from .cluster_options import ClusterOptions
from .cluster_view import ClusterView

if TYPE_CHECKING:
    from ...cluster.running.job import Finished
    from ...cluster.running.task import Task


@dataclass(frozen=True)
class ClusterScan:
    """What the options ask for."""

    sources: Sequence[str]
    search: Search
    options: ClusterOptions
    everything: bool
    pixel_limit: int
    machine: Machine
    keep: KeepDuplicate = "largest"


def refuse(told: Mapping[str, object], why: str) -> None:
    """Refuse options that were given but would have no effect. Raises KeepersError."""
    given = [name for name, value in told.items() if value]
    if given:
        raise KeepersError(f"{given[0]} {why}")


def local_paths(paths: Sequence[str]) -> list[Path]:
    """The paths of a plain scan. Raises KeepersError for addresses."""
    for path in paths:
        if "://" in path:
            raise KeepersError(f"{path} is an address; only --engine ray reads addresses.")
    return [Path(path) for path in paths]


def absolute(place: str) -> str:
    """A path that means the same to workers, which may run in another folder; addresses are unchanged."""
    return place if "://" in place else str(Path(place).absolute())


def run(job: ClusterScan, gate: Gate, *, quiet: bool) -> int:
    """Scan and return the exit code. Raises KeepersError."""
    if not job.options.out:
        raise KeepersError("--engine ray writes Parquet: say where with --out FOLDER (or s3://…).")
    try:
        from ...cluster.running.connect import connected
        from ...cluster.running.job import Sources, Workers
        from ...cluster.running.job import run_scan as scan
    except ImportError as error:
        raise KeepersError(f'Ray is not installed ({error.name}). Get it with: pip install "keepers[ray]"') from error
    options, task = job.options, _task(job, gate)
    with ClusterView(quiet=quiet) as view:
        try:
            with connected(options.address) as nodes:
                view.connected(nodes, options.address)
                named = ["@" + absolute(one[1:]) if one.startswith("@") else absolute(one) for one in job.sources]
                sources = Sources(named, job.search, options.column)
                workers = Workers(options.actors, options.gpus_per_actor)
                finished = scan(task, sources, absolute(options.out), nodes, workers, view)
        except MissingWeights as error:
            raise MissingWeights(f"{error}\n--download gets what is missing now, once on each node.") from error
        except KeyboardInterrupt:
            view.stop()
            console.print("Stopped. What was written is kept; the same command goes on from there.")
            return exit_codes.INTERRUPTED
    view.summary(finished, job.options.out)
    return _code(finished, captions=task.recipe is not None)


def _code(finished: Finished, *, captions: bool) -> int:
    counts = finished.counts
    without = captions and counts.accept > counts.captions
    lost = counts.error or counts.unjudged or counts.unsure or counts.missing or without
    return exit_codes.UNJUDGED if lost else exit_codes.OK


def _task(job: ClusterScan, gate: Gate) -> Task:
    from ...cluster.running.task import Task, Weights

    machine = job.machine
    recipe = _recipe(job)
    taggers = tuple(one.model for one in recipe.taggers) if recipe else ()
    for model in taggers:
        if not REGISTRY.spec(model, machine.store()).tags:
            raise KeepersError(f"{model} is no tagger. Taggers: {', '.join(one.id for one in REGISTRY if one.tags)}.")
    folders = tuple(folder.absolute() for folder in machine.store().folders)
    weights = Weights(folders, {name: path.absolute() for name, path in machine.explicit.items()}, machine.download)
    return Task(
        str(gate),
        taggers=taggers,
        recipe=recipe,
        everything=job.everything,
        weights=weights,
        device=machine.device,
        precision=machine.precision,
        batch=machine.batch,
        floor=job.options.tag_floor or None,
        pixel_limit=job.pixel_limit,
        keep=job.keep,
    )


def _recipe(job: ClusterScan) -> CaptionRecipe | None:
    """How captions are written; None if none are wanted. Raises KeepersError."""
    if not job.options.recipe and not job.options.tagger:
        return None
    recipe = recipe_from(job.options.recipe, None, taggers=job.options.tagger or None)
    if recipe.source == "prompt":
        return replace(recipe, taggers=())
    if not recipe.taggers:
        raise KeepersError("The recipe names no tagger: give one with --tagger, such as --tagger jtp.")
    return recipe
