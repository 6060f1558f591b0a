"""How long learning a taste from 1,000 labels takes, cross-validation included. No image is opened, and no net runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from keepers.cli.taste import tune as command
from keepers.cli.taste.tune_data import gather
from keepers.collection.mark_store import MarkStore
from keepers.collection.store import Store
from keepers.core.judging.judge import Judge
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.registry import REGISTRY
from keepers.tests.train.taste.world import picky, world
from keepers.train.taste.probe import fit_probe

LABELS = 1000
ROUNDS = 3


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """The shortest time of a few runs, and the shortest processor time, since the machine may be shared."""
    walls: list[float] = []
    cpus: list[float] = []
    for _ in range(ROUNDS):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def main() -> None:
    """Print the table."""

    def refuse(*_arguments: object, **_more: object) -> None:
        raise AssertionError("an image was opened")

    open_image, Image.open = Image.open, refuse  # pyright: ignore[reportAttributeAccessIssue]
    with TemporaryDirectory() as folder:
        made = world(Path(folder), LABELS, picky)
        judge = Judge(REGISTRY, WeightStore([made.weights]), Runtime(device="cpu"))
        with Store(made.db) as store:
            known = MarkStore(store)
            works: dict[str, Callable[[], object]] = {
                "gather labels and scores": lambda: gather(judge, known, "faramir", []),
                "tune faramir, all of it": lambda: command.tune_faramir(
                    judge, gather(judge, known, "faramir", []), "x"
                ),
                "tune taste --on faramir": lambda: command.tune_taste(
                    judge, gather(judge, known, "faramir", []), "x", "faramir"
                ),
            }
            for name, width in (("siglip", 1152), ("jtp", 9083)):
                inputs = np.random.default_rng(0).random((LABELS, width)) ** 4
                keep = inputs[:, :20].sum(1) > np.median(inputs[:, :20].sum(1))
                works[f"fit a probe of {width:,} inputs ({name})"] = lambda i=inputs, k=keep: fit_probe(i, k)
            print(f"{LABELS} labels                                    seconds  of processor")
            for name, work in works.items():
                wall, cpu = seconds(work)
                print(f"{name:42}  {wall:7.2f}  {cpu:12.2f}", flush=True)
    Image.open = open_image


if __name__ == "__main__":
    main()
