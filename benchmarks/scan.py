"""The scan: does it keep the processor busy, how fast are known files, and does memory stay flat?"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from keepers.collection.scan import Scan, Scanned
from keepers.collection.store import SeenFile, SeenVerdict, Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.classifier import Classifier
from keepers.core.judging.judge import Judge
from keepers.core.pictures.open import open_image, read_image_file
from keepers.core.pictures.preprocess import Preprocess
from keepers.core.pictures.walk import Found, walk
from keepers.core.prediction import Labels, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights.store import WeightStore
from keepers.examples.pictures import mountains
from keepers.models.registry import REGISTRY, Registry

from .coherence import write_weights

IMAGES = 256
KNOWN = 100_000
MANY = 10_000
LABELS = Labels(("good", "bad"))
SLOW = 0.005
"""Seconds that the net of the saturation test takes for an image without using the processor."""


class SleepingNet(nn.Module):
    """Stands for a net on another device: it takes time, but no processor."""

    def forward(self, views: Tensor) -> Tensor:
        """[B, 2], always good."""
        time.sleep(SLOW * len(views))
        return torch.tensor([[1.0, 0.0]]).repeat(len(views), 1)


def sleeping(_: Build) -> Network:
    """The net of the saturation test."""
    view = Preprocess(64, "squash", "bilinear")
    return Network(SleepingNet(), LABELS, (view,), lambda values: argmax_label(LABELS, values))


SLEEPING = ModelSpec("sleeping", "", "", "", "", sleeping, cost=1, labels=lambda: LABELS)


def make_images(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Pictures of one scene, each with its own grain, as PNG."""
    scene = np.asarray(mountains(size)).astype(np.int16)
    random = np.random.RandomState(0)
    for number in range(count):
        grain = random.randint(-6, 7, scene.shape[:2])[..., None]
        Image.fromarray((scene + grain).clip(0, 255).astype(np.uint8)).save(
            folder / f"{number:05}.png", compress_level=4
        )


def listed(folder: Path) -> list[Found]:
    """All files of a folder."""
    return [entry for entry in walk([folder]) if isinstance(entry, Found)]


def scan(judge: Judge, gate: str, files: list[Found], store: Store | None = None) -> tuple[float, list[Scanned]]:
    """Seconds and results of a scan, plan included."""
    start = perf_counter()
    job = Scan(judge, Gate.parse(gate), store)
    results = list(job.run(job.plan(files)))
    return perf_counter() - start, results


def decode_all(files: list[Found]) -> float:
    """Seconds for decoding alone, in as many threads as the scan uses."""
    start = perf_counter()
    with ThreadPoolExecutor(4) as pool:
        for _ in pool.map(lambda found: open_image(read_image_file(found.path)), files):
            pass
    return perf_counter() - start


def net_alone(classifier: Classifier, files: list[Found]) -> float:
    """Seconds for the net alone, in batches of 8, on pictures that are ready."""
    prepared = [classifier.prepare(open_image(found.path)) for found in files[:8]]
    start = perf_counter()
    for _ in range(len(files) // 8):
        classifier.predict(prepared)
    return perf_counter() - start


def throughput(folder: Path, models: Path) -> None:
    """A scan against the slower of its two parts, and against a second scan in which all is known."""
    files = listed(folder)
    judge = Judge(REGISTRY, WeightStore([models]), Runtime(device="cpu"))
    gate = "accept: coherence.coherent >= 0.5"
    scan(judge, gate, files[:8])
    ratios, speedups = [], []
    for number in range(3):
        decoding, net = decode_all(files), net_alone(judge.classifier("coherence"), files)
        with Store(models / f"{number}.db") as store:
            first, _ = scan(judge, gate, files, store)
            again, results = scan(judge, gate, files, store)
        assert all(result.known for result in results)
        ratios.append(max(decoding, net) / first)
        speedups.append(first / again)
        print(f"decoding {decoding:.2f} s, net {net:.2f} s, scan {first:.2f} s, again {again:.3f} s")
    print(
        f"scan reaches {np.median(ratios):.2f} of the slower part; the second scan is {np.median(speedups):.0f}x faster"
    )


def saturation(folder: Path) -> None:
    """With a net that takes 5 ms off the processor, decoding alone sets the pace."""
    files = listed(folder)
    judge = Judge(Registry(SLEEPING), WeightStore([folder]), Runtime(device="cpu"))
    ratios = [decode_all(files) / scan(judge, "accept: sleeping.good >= 0.5", files)[0] for _ in range(3)]
    print(f"with a net of {1000 * SLOW:.0f} ms: {np.median(ratios):.2f} of decoding alone")


def known(folder: Path) -> None:
    """Files that were scanned before: seconds for the plan, and for the results."""
    judge = Judge(REGISTRY, WeightStore([folder]), Runtime(device="cpu"))
    gate = "accept: coherence.coherent >= 0.5"
    files = [Found(folder / f"{number // 1000}" / f"{number}.png", 1, 2) for number in range(KNOWN)]
    with Store(folder / "known.db") as store:
        job = Scan(judge, Gate.parse(gate), store)
        store.add(
            files=[SeenFile(found.path, 1, 2, f"{number:064}") for number, found in enumerate(files)],
            verdicts=[
                SeenVerdict(
                    f"{number:064}", job.basis(exact=True), gate, "accept", "accept: coherence.coherent 0.90", "", 1.0
                )
                for number in range(KNOWN)
            ],
        )
        start = perf_counter()
        plan = job.plan(files)
        planned = perf_counter() - start
        assert plan.to_scan == 0
        assert sum(1 for _ in job.run(plan)) == KNOWN
        whole = perf_counter() - start
    print(f"{KNOWN:,} known files: plan {planned:.1f} s, {KNOWN / whole:,.0f} a second in all")


MEMORY = """
import sys
from pathlib import Path
from keepers.benchmarks.scan import listed, REGISTRY
from keepers.benchmarks.timing import peak_megabytes
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.collection.scan import Scan
from keepers.core.weights.store import WeightStore
folder, count = Path(sys.argv[1]), int(sys.argv[2])
job = Scan(Judge(REGISTRY, WeightStore([folder])), Gate.parse("accept: signals.ok >= 0.5"))
assert sum(1 for _ in job.run(job.plan(listed(folder)[:count]))) == count
print(peak_megabytes())
"""


def memory(folder: Path) -> None:
    """Peak memory of scans of few and of many small files, each in its own process."""
    for number in range(MANY):
        pixels = np.random.RandomState(number).randint(0, 256, (48, 48, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05}.png", compress_level=1)
    peaks = [
        float(
            subprocess.run(
                [sys.executable, "-c", MEMORY, str(folder), str(count)], capture_output=True, check=True
            ).stdout
        )
        for count in (MANY // 10, MANY)
    ]
    print(f"peak memory: {peaks[0]:.0f} MB for {MANY // 10:,} files, {peaks[1]:.0f} MB for {MANY:,}")


def main() -> None:
    """Print one line for each question."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for part in ("pictures", "models", "small"):
            (root / part).mkdir()
        make_images(root / "pictures", IMAGES, (1024, 1024))
        write_weights(root / "models")
        throughput(root / "pictures", root / "models")
        saturation(root / "pictures")
        known(root / "models")
        memory(root / "small")


if __name__ == "__main__":
    main()
