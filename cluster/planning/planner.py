"""How long a scan on a cluster takes: arithmetic on measured costs, without any model or machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from ...core.errors import KeepersError

BLOCK_OVERHEAD = 0.032
"""Processor seconds of all processes together, the engine's own included, to hand a block of images to a stage.
Measured with Ray 2.60 by passing tiny objects in blocks of 16 through one and through three stages that do nothing."""
BLOCK_DRIVING = 0.008
"""The part of it spent in the one process that drives the job, whatever the cluster; measured in the same way."""
CARRY = 0.0012
"""Processor seconds of all processes together to hand a million bytes to a stage on the same machine: packed, copied
and unpacked. Measured in the same way, with objects of 2.2 MB."""
LEAST_BLOCK = 32
"""The fewest images handed on together; two batches if those are larger."""
JOIN = 0.00014
"""Seconds per image for the search for near-duplicates at the end, in one process, with 200,000 random fingerprints
(`python -m keepers.benchmarks near_duplicates`)."""
STARTUP = 15.0
"""Seconds until the engine takes its first image, plus those from the last image to the summary, without the loading of
nets."""

Pool = Literal["cores", "gpus", "driver"]


class PlanError(KeepersError):
    """A cluster that cannot do what is asked of it, or a cost that is unknown."""

    code = "plan"


@dataclass(frozen=True)
class ModelCost:
    """What one model costs per image that it is asked about, in seconds."""

    model: str
    prepare: float
    """Processor seconds to make the views of a decoded picture."""
    processor: float
    """Processor seconds of the net; if it runs on a GPU, those of the process that drives it."""
    gpu: float = 0.0
    """GPU seconds; 0 means that the net runs on the processor."""
    inline: bool = False
    """Whether it needs no files and runs where pictures are first decoded."""
    reach: float = 1.0
    """The share of all images that it is asked about."""
    weights: int = 0
    """Bytes that each loaded net takes."""
    views: int = 0
    """Bytes of its views of one image."""


@dataclass(frozen=True)
class Costs:
    """What one image costs at each step, in processor seconds unless stated otherwise."""

    read: float
    """To read the bytes of its file."""
    describe: float
    """Checksum, size and generation metadata."""
    decode: float
    write: float
    """To write its row in a Parquet file."""
    models: tuple[ModelCost, ...] = ()
    """In the order in which they are asked."""
    carry: float = CARRY
    """To hand on a million bytes."""
    bytes: float = 0.0
    """The size of its file, which is handed on as long as a later net may need the picture."""
    overhead: float = BLOCK_OVERHEAD / LEAST_BLOCK
    """At every stage that it is handed to, whatever its size."""
    driving: float = BLOCK_DRIVING / LEAST_BLOCK
    """The part of the overhead that falls on the one process that drives the job."""
    join: float = 0.0
    """To look for near-duplicates after the scan."""
    startup: float = STARTUP
    """Seconds once per job, as `STARTUP`."""


@dataclass(frozen=True)
class Cluster:
    """What a job may use."""

    cores: float
    gpus: float = 0.0
    actors: int = 0
    """For each net on GPUs; 0 fills the GPUs."""
    gpus_per_actor: float = 0.0
    """0 shares the GPUs among the nets by their work. More than one is no faster: a net runs on one GPU."""


@dataclass(frozen=True)
class ScanStage:
    """One step of the job."""

    name: str
    share: float
    """The share of all images that reach it."""
    processor: float
    """Processor seconds per image that reaches it, handing over included."""
    gpu: float = 0.0
    """GPU seconds per image that reaches it."""


@dataclass(frozen=True)
class Load:
    """A stage in a cluster."""

    stage: ScanStage
    pool: Pool
    """What it runs on."""
    granted: float
    """How many cores or GPUs it may use."""
    used: float
    """How many of them it keeps busy while the whole job runs."""
    alone: float
    """Images per second if all else were infinitely fast; infinite for a stage that no image reaches."""


@dataclass(frozen=True)
class Estimate:
    """The estimated course of a job."""

    rate: float
    """Images per second."""
    seconds: float
    """From the start to the last row."""
    bound: Pool
    """The bottleneck: the cores, the GPUs of one net, or the process that drives the job, which more machines do not
    relieve."""
    binding: str
    """The stage that uses the bottleneck most."""
    loads: tuple[Load, ...]
    processor: float
    """Processor seconds of an average image, over all stages."""
    cores_to_fill: float
    """How many cores keep the GPUs from waiting; 0 if no net runs on one."""
    cores_per_gpu: float
    """The same, for each GPU."""


def stages(costs: Costs) -> tuple[ScanStage, ...]:
    """The steps of a job in order. For each net after the first, pictures that are still wanted are decoded again."""
    nets = [one for one in costs.models if not one.inline]
    inline = sum(one.reach * (one.prepare + one.processor) for one in costs.models if one.inline)
    first = nets[0].reach * nets[0].prepare if nets else 0.0
    found = [ScanStage("read and decode", 1.0, costs.read + costs.describe + costs.decode + inline + first)]
    for place, net in enumerate(nets):
        if place:
            handed = costs.overhead + costs.carry * costs.bytes / 1e6
            found.append(ScanStage(f"decode for {net.model}", net.reach, handed + costs.decode + net.prepare))
        carried = net.views + (costs.bytes if net is not nets[-1] else 0.0)
        handed = costs.overhead + costs.carry * carried / 1e6
        found.append(ScanStage(net.model, net.reach, handed + net.processor, net.gpu))
    return (*found, ScanStage("write", 1.0, costs.overhead + costs.write))


def estimate(costs: Costs, cluster: Cluster, images: int) -> Estimate:
    """How long a number of images takes on a cluster. Raises PlanError for missing GPUs, or too few for the actors.

    All stages on processors share the cores and slow each other down; nets on GPUs have theirs to themselves.
    """
    found = stages(costs)
    processor = sum(one.share * one.processor for one in found)
    limits = _granted(found, cluster)
    alone = {one.name: _alone(one, limits, cluster) for one in found}
    own = [one for one in found if one.gpu]
    by_own = min((alone[one.name] for one in own), default=float("inf"))
    by_cores = cluster.cores / processor
    by_driver = _rate(1.0, costs.driving * len(found))
    rate = min(by_cores, by_own, by_driver)
    loads = tuple(_load(one, limits, cluster, alone[one.name], rate) for one in found)
    bound, binding = _binding(loads, rate, by_cores, by_driver)
    on_gpus = any(one.gpu for one in found)
    fill = by_own * processor if on_gpus and by_own < float("inf") else 0.0
    seconds = costs.startup + images / rate + images * costs.join
    per_gpu = fill / cluster.gpus if fill else 0.0
    return Estimate(rate, seconds, bound, binding, loads, processor, fill, per_gpu)


def _granted(found: Sequence[ScanStage], cluster: Cluster) -> dict[str, float]:
    """How many GPUs each net has, by its stage."""
    wanted = {one.name: one.share * one.gpu for one in found if one.gpu}
    if wanted and not cluster.gpus:
        raise PlanError(f"No GPU is planned, but the only known time of {', '.join(wanted)} is on a GPU.")
    return _gpus(wanted, cluster)


def _gpus(wanted: Mapping[str, float], cluster: Cluster) -> dict[str, float]:
    count, each, actors = len(wanted), cluster.gpus_per_actor, cluster.actors
    asked = max(actors, 1) * each * count
    if asked > cluster.gpus * (1 + 1e-9):
        raise PlanError(
            f"{max(actors, 1)} actors with {each:g} GPUs each for {count} nets need {asked:g} GPUs, but there are "
            f"{cluster.gpus:g}: ask for fewer, or leave the option out so that nets share them."
        )
    if count and each >= 1:
        return dict.fromkeys(wanted, float(actors or cluster.gpus // (each * count)))
    whole = sum(wanted.values())
    shares = {name: cluster.gpus * share / whole if whole else 0.0 for name, share in wanted.items()}
    return {name: min(share, actors or share) for name, share in shares.items()}


def _rate(available: float, needed: float) -> float:
    return available / needed if needed else float("inf")


def _alone(stage: ScanStage, limits: Mapping[str, float], cluster: Cluster) -> float:
    if stage.gpu:
        return _rate(limits[stage.name], stage.share * stage.gpu)
    return _rate(limits.get(stage.name, cluster.cores), stage.share * stage.processor)


def _load(stage: ScanStage, limits: Mapping[str, float], cluster: Cluster, alone: float, rate: float) -> Load:
    pool: Pool = "gpus" if stage.gpu else "cores"
    used = rate * stage.share * (stage.gpu or stage.processor)
    return Load(stage, pool, limits.get(stage.name, cluster.cores), used, alone)


def _binding(loads: Sequence[Load], rate: float, by_cores: float, by_driver: float) -> tuple[Pool, str]:
    """The bottleneck and its stage: for cores, the stage that takes most of them; for GPUs, the slowest net."""
    if rate == by_cores:
        return "cores", max(loads, key=lambda one: one.stage.share * one.stage.processor).stage.name
    if rate == by_driver:
        return "driver", "the handing over"
    slowest = min((one for one in loads if one.stage.gpu), key=lambda one: one.alone)
    return slowest.pool, slowest.stage.name


def reaches(models: Sequence[str], measured: Mapping[str, float], passes: Mapping[str, float]) -> dict[str, float]:
    """The share of all images that each model is asked about.

    `passes` gives, by model, the share of the images that reach it and go on to the next. For models without an entry
    the shares in `measured` decide; a model that was not measured is asked about everything that came so far.
    """
    found: dict[str, float] = {}
    for model, before in zip(models, (None, *models), strict=False):
        seen = measured.get(model, 1.0)
        if before is None:
            found[model] = seen
        elif before in passes:
            found[model] = found[before] * passes[before]
        else:
            here = measured.get(before, 1.0)
            found[model] = min(1.0, seen * (found[before] / here if here else 1.0))
    return found
