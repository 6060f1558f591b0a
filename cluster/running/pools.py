"""How many workers each stage gets. Ray counts processors; a net on a processor uses all those of its node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...core.errors import KeepersError
from .connect import SPARE, ClusterNode

READERS_A_WRITER = 8
"""Decoding an image costs many times as much as writing its row."""


@dataclass(frozen=True)
class Pools:
    """The workers requested from Ray."""

    share: float
    """Processors that one worker counts as."""
    looks: int
    """The most workers that read and decode."""
    prepares: int
    """The most workers that decode again for one of the later nets."""
    writes: int
    """The most workers that write."""
    actors: int
    """Workers per net, each with a loaded net."""
    gpus: float
    """GPUs of a worker with a net; 0 runs it on the processor."""
    threads: int
    """torch's threads in a worker with a net on the processor: all cores, as in a plain scan, because the last bits of
    a net's output depend on it. 0 leaves the choice to torch."""


def plan_pools(
    nodes: Sequence[ClusterNode], nets: int, actors: int = 0, gpus_per_actor: float = 0.0, cpu: bool = False
) -> Pools:
    """The workers for a scan with a number of nets on these nodes; 0 for `actors` and `gpus_per_actor` is automatic.

    `cpu` leaves GPUs unused. Raises KeepersError if the cluster lacks what is asked for.
    """
    processors = sum(node.cpus for node in nodes) - SPARE
    cards = 0.0 if cpu else sum(node.gpus for node in nodes)
    if gpus_per_actor and not cards and nets:
        raise KeepersError("--gpus-per-actor asks for GPUs, but the cluster has none (or --device says cpu).")
    gpus = (gpus_per_actor or _share(1 / max(nets, 1))) if cards else 0.0
    most = int(cards / (gpus * max(nets, 1)) + 1e-6) if gpus else 0
    if gpus and most < 1:
        raise KeepersError(f"{nets} nets with {gpus} GPUs each do not fit on {cards:g}: lower --gpus-per-actor.")
    wanted = actors or (most if gpus else len(nodes))
    if gpus and wanted > most:
        raise KeepersError(f"{wanted} actors of {nets} nets with {gpus:g} GPUs each do not fit on {cards:g} GPUs.")
    on_processors = 0 if gpus else nets * wanted
    later = max(0, nets - 1)
    least = 1 + later + on_processors + 1  # Look, a Prepare for each later net, nets, Write
    if processors < least:  # workers on fractions leave a fraction free on every node, and Ray needs a whole processor
        processors = sum(node.cpus - SPARE for node in nodes)
    share = min(1.0, _share(processors / least))
    if share <= 0:
        raise KeepersError(f"{processors:g} free processors are too few for {least} workers: the cluster is too small.")
    free = int((processors + 1e-6) / share) - least
    prepares = 1 + (free // (2 * later) if later else 0)
    looks = 1 + free - later * (prepares - 1)
    writes = 1 + (looks - 1) // (READERS_A_WRITER + 1)
    each = int(max((node.cpus for node in nodes), default=1)) - SPARE
    return Pools(share, looks - writes + 1, prepares, writes, wanted, gpus, 0 if gpus else max(1, each))


def _share(value: float) -> float:
    """Rounded down to Ray's resolution."""
    return int(value * 1000) / 1000
