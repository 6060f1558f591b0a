"""A scan on Ray against the plain scan and against the plan, and its peak memory."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from keepers.cluster.output.output import Output
from keepers.cluster.planning.costs import Workload, measure_costs
from keepers.cluster.planning.planner import Cluster, estimate
from keepers.cluster.running.connect import connected
from keepers.cluster.running.job import Sources, Workers, run_scan
from keepers.cluster.running.task import Task, Weights
from keepers.collection.scan import Scan, ScanOptions
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.pictures.preprocess import Preprocess
from keepers.core.prediction import Labels, Prediction, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import Registry
from keepers.models.signals import signals

from .scan import listed, make_images
from .timing import peak_megabytes

IMAGES = 2000
DISTINCT = 100
"""Distinct pictures among them; the rest repeat these, with other bytes appended."""
WARM = 64
"""Images of a scan that is nearly all start-up and shutdown."""
MANY = 100_000
SLOW = 0.05
"""Seconds that the sleeping net takes for one image."""
LABELS = Labels(("good", "bad"))
FILE = WeightFile(name="benchmark.safetensors", licence="none")
GATE = "accept: busy.good >= 0.5"


class BusyNet(nn.Module):
    """Convolutions that keep two cores busy for about 50 ms an image."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        widths = (3, 48, 96, 96, 96)
        steps = [nn.Conv2d(a, b, 3, padding=1, stride=2 if a == 3 else 1) for a, b in itertools.pairwise(widths)]
        self.layers = nn.Sequential(*(part for step in steps for part in (step, nn.ReLU())))

    def forward(self, views: Tensor) -> Tensor:
        """[B, 2], always between 0 and 1."""
        good = torch.sigmoid(self.layers(views).mean((1, 2, 3)))
        return torch.stack([good, 1 - good], 1)


class SleepingNet(nn.Module):
    """Takes time without using the processor."""

    def forward(self, views: Tensor) -> Tensor:
        """[B, 2], always good."""
        time.sleep(SLOW * len(views))
        return torch.tensor([[1.0, 0.0]]).repeat(len(views), 1)


def build(kind: type[nn.Module], side: int, given: Build) -> Network:
    """One of the two nets; its weight file need only exist."""
    given.path(FILE)
    return Network(kind(), LABELS, (Preprocess(side, "squash", "bicubic"),), partial(argmax_label, LABELS))


def spec(name: str, kind: type[nn.Module], side: int) -> ModelSpec:
    """One of the two nets, described."""
    return ModelSpec(name, "", "", "", "", partial(build, kind, side), (FILE,), cost=10, labels=lambda: LABELS)


REGISTRY = Registry(signals.SPEC, spec("busy", BusyNet, 248), spec("sleeping", SleepingNet, 384))


@dataclass
class Clock:
    """When what happened."""

    began: float = 0.0
    scanned: float = 0.0

    def phase(self, what: str) -> None:
        """Something else begins."""
        if what in ("near-duplicates", "accounting") and not self.scanned:
            self.scanned = perf_counter()

    def passed_by(self, told: str) -> None:
        """Not needed."""

    def listed(self, count: int) -> None:
        """Not needed."""

    def begin(self, todo: int, skipped: int, pools: object) -> None:  # noqa: ARG002  a watcher's
        """The first image is about to be looked at."""
        self.began = perf_counter()

    def done(self, counts: Mapping[str, int]) -> None:
        """Not needed."""


def repeat(folder: Path, count: int) -> None:
    """Fill a folder up to `count` files with copies of those in it, each with other bytes after the picture's end."""
    files = sorted(folder.iterdir())
    for number in range(len(files), count):
        data = files[number % len(files)].read_bytes()
        (folder / f"again-{number:06}{files[0].suffix}").write_bytes(data + b"%08d" % number)


def plain(folder: Path, models: Path, count: int) -> float:
    """Seconds that the plain scan takes, store included."""
    judge = Judge(REGISTRY, WeightStore([models]), Runtime(device="cpu"))
    judge.classifier("busy")
    with Store(models / "plain.db") as store:
        files = listed(folder)[:count]
        scan = Scan(judge, Gate.parse(GATE), store, ScanOptions(fresh=True))
        plan, start = scan.plan(files), perf_counter()
        assert sum(not one.error for one in scan.run(plan)) == count
        return perf_counter() - start


def on_ray(folder: Path, models: Path, out: Path, gate: str = GATE) -> tuple[float, float]:
    """Seconds for looking at all images, and for what comes before and after."""
    start, clock = perf_counter(), Clock()
    task = Task(gate, weights=Weights((models,)), device="cpu", registry=REGISTRY)
    with connected() as nodes:
        finished = run_scan(task, Sources([str(folder)]), str(out), nodes, Workers(), clock)
    assert finished.counts.missing == 0 and finished.counts.error == 0
    looking = clock.scanned - clock.began
    return looking, perf_counter() - start - looking


def equal(models: Path, out: Path) -> str:
    """How many of the numbers from Ray equal those of the plain scan to the last bit."""
    rows = list(Output.at(str(out)).image_rows())
    column = Output.at(str(out)).require_settings().models[0]
    with Store(models / "plain.db") as store:
        known = store.predictions((row.image.content for row in rows), {column.model: column.fingerprint})
    same = 0
    for row in rows:
        found = row.answers[column.model]
        same += (
            isinstance(found, Prediction)
            and found.values.tobytes() == known[row.image.content][column.model].values.tobytes()
        )
    return f"{same:,} of {len(rows):,}"


def throughput(root: Path) -> None:
    """The same images in a plain scan, on Ray, and as planned."""
    models = root / "models"
    few, many = root / "few", root / "many"
    for folder, count in ((few, WARM), (many, IMAGES)):
        folder.mkdir()
        make_images(folder, min(count, DISTINCT), (768, 768))
        repeat(folder, count)
    workload = Workload(Judge(REGISTRY, WeightStore([models]), Runtime(device="cpu")), Gate.parse(GATE))
    plain(few, models, WARM)
    here = plain(many, models, IMAGES)
    began, around = on_ray(few, models, root / "out-few")
    whole, around_many = on_ray(many, models, root / "out-many")
    each = (whole - began) / (IMAGES - WARM)
    planned = estimate(
        measure_costs(workload, [one.path for one in listed(few)[:16]]).costs, Cluster(os.cpu_count() or 1), IMAGES
    )
    again = plain(many, models, IMAGES)
    plainly = (here + again) / 2 / IMAGES
    print(f"plain {1000 * plainly:.1f} ms an image ({1000 * here / IMAGES:.1f}, {1000 * again / IMAGES:.1f})")
    print(
        f"on Ray {1000 * each:.1f} ms an image: {each / plainly - 1:+.1%}; {began:.1f} s until {WARM} were looked at,"
    )
    print(f"  the same to the last bit as the plain scan: {equal(models, root / 'out-many')}")
    print(f"  {around:.1f} to {around_many:.1f} s for starting Ray, trying the net, listing and accounting")
    print(f"planned {1000 / planned.rate:.1f} ms an image: {planned.rate * each - 1:+.1%} of the measured rate")


def pressure(root: Path) -> None:
    """How much data waits for a net that takes 50 ms and no processor?"""
    import ray

    folder, most, stop = root / "many", [0.0], threading.Event()

    def watch() -> None:
        while not stop.wait(0.25):
            if ray.is_initialized():
                with suppress(Exception):  # it may be gone at any moment
                    whole, free = (
                        found.get("object_store_memory", 0.0)
                        for found in (ray.cluster_resources(), ray.available_resources())
                    )
                    most[0] = max(most[0], whole - free)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    looking, _ = on_ray(folder, root / "models", root / "out-slow", "accept: sleeping.good >= 0.5")
    stop.set()
    watcher.join()
    views = IMAGES * 3 * 384 * 384 * 4 / 1e6
    told = f"at most {most[0] / 1e6:.0f} MB wait, of {views:.0f} in all"
    print(f"slow net: {1000 * looking / IMAGES:.1f} ms an image; {told}")


MEMORY = """
import sys
from pathlib import Path
from keepers.benchmarks.cluster import on_ray
from keepers.benchmarks.timing import peak_megabytes
looking, around = on_ray(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), 'reject: signals.label == "black"')
print(peak_megabytes(), looking)
"""


def memory(root: Path) -> None:
    """Peak memory of the driver in scans of many and of very many tiny images."""
    for count in (MANY // 10, MANY):
        folder = root / f"tiny-{count}"
        folder.mkdir()
        for number in range(500):
            pixels = np.random.RandomState(number).randint(0, 256, (48, 48, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number:05}.png", compress_level=1)
        repeat(folder, count)
        line = [sys.executable, "-c", MEMORY, str(folder), str(root / "models"), str(root / f"out-{count}")]
        done = subprocess.run(line, capture_output=True, text=True, check=True)
        megabytes, seconds = done.stdout.split()[-2:]
        print(f"{count:,} tiny images: the driver peaks at {float(megabytes):.0f} MB; {float(seconds):.0f} s")


def main() -> None:
    """Print one line for each question."""
    print(f"this process: {peak_megabytes():.0f} MB before")
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "models").mkdir()
        (root / "models" / FILE.name).write_bytes(b"")
        throughput(root)
        pressure(root)
        memory(root)


if __name__ == "__main__":
    main()
