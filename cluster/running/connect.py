"""The cluster that a scan runs on: a running one, or one started on this machine."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # Ray reports home unless this is set before its import

import ray
from PIL import Image
from ray.exceptions import ActorDiedError, ActorUnavailableError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ...core.errors import KeepersError
from ...core.judging.classifier import Classifier, model_fingerprint
from ..planning.inline import is_free
from .task import Task, TriedModel

if TYPE_CHECKING:
    from ...core.spec import Precision

STORE_SHARE, STORE_MOST = 0.25, 2 << 30
"""Limits of the object store between stages: a share of this machine's memory, and bytes. More only waits longer."""
SPARE = 1
"""Processors kept free for Ray's own small tasks; on this machine Ray is told of so many more than there are."""


class ClusterError(KeepersError):
    """A cluster that cannot be used: it is missing, has another version, or a node lacks what the scan needs."""

    code = "cluster"


OLDEST = 2, 55
"""The oldest supported Ray: earlier versions unpickle objects, and so run code, from the schema of any Parquet file."""


@dataclass(frozen=True)
class ClusterNode:
    """One machine of the cluster."""

    id: str
    name: str
    cpus: float
    gpus: float


@contextmanager
def connected(address: str = "") -> Generator[tuple[ClusterNode, ...]]:
    """Connects to a cluster, or starts one here; yields the live nodes. Raises ClusterError."""
    if version() < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise ClusterError(f'Ray {ray.__version__} is older than {oldest}. Update it: pip install -U "keepers[ray]"')
    logging.getLogger("ray").setLevel(logging.ERROR)
    try:
        with _hushed() if not address else nullcontext():
            ray.init(**(_elsewhere(address) if address else _here()))
    except (RuntimeError, ConnectionError, ValueError, OSError) as error:
        raise ClusterError(advice(address, error)) from error
    try:
        yield nodes()
    finally:
        ray.shutdown()


def version() -> tuple[int, ...]:
    """The first two numbers of Ray's version."""
    return tuple(map(int, ray.__version__.split(".")[:2]))


@contextmanager
def _hushed() -> Generator[None]:
    """Silences the warnings that Ray's own processes write to this terminal; its log files still have them."""
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def nodes() -> tuple[ClusterNode, ...]:
    """The live nodes of the cluster."""
    alive = [node for node in ray.nodes() if node["Alive"]]
    return tuple(
        ClusterNode(
            node["NodeID"], node["NodeManagerHostname"], *(node["Resources"].get(kind, 0.0) for kind in ("CPU", "GPU"))
        )
        for node in alive
    )


def _elsewhere(address: str) -> dict[str, Any]:
    return {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}


def _here() -> dict[str, Any]:
    """On loopback only, with a token of its own, so that nothing is written to the user's home."""
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else STORE_MOST
    return {
        "address": "local",
        "num_cpus": cores() + SPARE,
        "object_store_memory": min(int(memory * STORE_SHARE), STORE_MOST),
        "include_dashboard": False,
        "log_to_driver": False,
        "logging_level": logging.ERROR,
        "_node_ip_address": "127.0.0.1",
    }


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def advice(address: str, error: Exception) -> str:
    """Why there is no cluster, with advice."""
    text = " ".join(str(error).split())
    if "ersion mismatch" in text:
        return f"The cluster at {address} runs another version of Ray or Python ({text[:300]}). Install the same here."
    if address:
        return f"There is no Ray cluster at {address} ({text[:200]}). Without --address, one is started here."
    return f"Ray could not be started on this machine ({text[:300]})."


def prepare_nodes(task: Task, models: Sequence[str], found: Sequence[ClusterNode]) -> None:
    """Makes sure that every node has this Keepers and the same weights, fetched once per node where that is allowed.

    Raises ClusterError, and whatever finding weights raises.
    """
    from ... import __version__

    remote = ray.remote(num_cpus=0)(_node_facts)
    asked = [remote.options(scheduling_strategy=_on(node)).remote(task, models) for node in found]
    reports: list[Mapping[str, str]] = []
    for node, reference in zip(found, asked, strict=True):
        facts = task_result(reference, f"node {node.name}")
        if facts["version"] != __version__:
            raise ClusterError(f"Node {node.name} has Keepers {facts['version']}, but this machine has {__version__}.")
        reports.append(facts)
    for model in models:
        differing = {facts[model]: node.name for facts, node in zip(reports, found, strict=True)}
        if len(differing) > 1:
            raise ClusterError(f"The nodes {', '.join(differing.values())} have different files for {model}.")


def _on(node: ClusterNode) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node.id, soft=False)


def _node_facts(task: Task, models: Sequence[str]) -> dict[str, str]:
    from ... import __version__

    store = task.weights.store()
    facts = {"version": __version__}
    for model in models:
        spec = task.spec(model)
        for file in spec.weights:
            if not file.optional:
                store.path(file, model=model)
        facts[model] = model_fingerprint(spec, store)
    return facts


def precision(task: Task, gpus: float) -> Precision:
    """The precision that "auto" means where the nets will run. Raises ClusterError."""
    return task_result(ray.remote(num_cpus=0, num_gpus=gpus)(_precision).remote(task), "the cluster")


def _precision(task: Task) -> Precision:
    runtime = task.runtime()
    return runtime.resolve(runtime.torch_device())


def try_models(task: Task, models: Sequence[str], gpus: float) -> tuple[TriedModel, ...]:
    """Loads each model once somewhere in the cluster and shows it a picture: better to fail now than after a night.

    Raises whatever loading raises, and ClusterError for a net that fails.
    """
    remote = ray.remote(num_cpus=1, num_gpus=gpus)(try_model)
    return tuple(task_result(remote.remote(task, model), model) for model in models)


def try_model(task: Task, model: str) -> TriedModel:
    """What the stages must know about a model. Raises whatever loading raises."""
    from time import perf_counter

    spec, store, runtime = task.spec(model), task.weights.store(), task.runtime()
    net = Classifier.load(spec, store, runtime, runtime.resolve(runtime.torch_device()))
    picture = Image.linear_gradient("L").convert("RGB").resize((512, 512))
    prepared = net.prepare(picture)
    net.predict([prepared])  # warms up
    start = perf_counter()
    net.predict([prepared])
    seconds = perf_counter() - start
    views = net.network.views
    return TriedModel(model, net.labels, views, net.fingerprint, spec.cost, is_free(spec), bool(spec.compare), seconds)


def task_result(reference: Any, where: str) -> Any:
    """The result of a Ray task. Raises the KeepersError raised there, and ClusterError for anything else."""
    try:
        return ray.get(reference)
    except (RayError, ImportError) as error:
        raise worker_error(error, where) from error


_DEATHS = ActorDiedError, ActorUnavailableError, OutOfMemoryError, WorkerCrashedError


def is_death(error: BaseException) -> bool:
    """Whether a process died, whatever it was doing."""
    return any(isinstance(one, _DEATHS) for one in _chain(error))


def worker_error(error: BaseException, where: str = "the cluster") -> KeepersError:
    """What went wrong in a worker, as one error for the user."""
    seen = _chain(error)
    if isinstance(seen[-1], KeepersError):
        return seen[-1]
    last = next((one for one in reversed(seen) if str(one).strip()), error)
    text = " ".join(str(last).split())
    if is_death(error):
        return ClusterError(
            f"Processes on {where} died again and again over the same work, so the scan stops ({type(last).__name__}). "
            "Most likely memory ran out: try a smaller --batch or fewer --actors. Otherwise one of the next images "
            "crashes the process: what was done is kept, and the same command goes on from there."
        )
    if "No module named 'keepers" in text:
        return ClusterError(f"Keepers is not installed on {where}: every node needs the same version.")
    return ClusterError(f"Something went wrong on {where}: {type(last).__name__}: {text[-400:]}")


def _chain(error: BaseException) -> list[BaseException]:
    """An error and its causes, down to the first of ours if there is one."""
    seen = [error]
    while (cause := _cause(seen[-1])) is not None and cause not in seen:
        seen.append(cause)
        if isinstance(cause, KeepersError):
            break
    return seen


def _cause(error: BaseException) -> BaseException | None:
    """The cause of an error, here or in the worker that it came from."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error.__cause__
