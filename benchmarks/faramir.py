"""FARAMIR at full width on random weights: images a second, start-up, memory, share of peak FLOP/s, cascade.

With FARAMIR_DIR set to a checkout, the original's net runs beside ours on the same weights. With FARAMIR_PYTHON set to
an interpreter that has Pillow below 12, timm and torch, its start-up is measured too. FARAMIR_WORK names a folder that
keeps the weights from run to run. It needs about 6 GB of memory and 2 GB of disk.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from subprocess import run
from time import perf_counter
from unittest import mock

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.core.judging.classifier import Classifier, Prepared
from keepers.core.judging.judge import Judge
from keepers.core.prediction import Prediction
from keepers.core.runtime import Runtime
from keepers.core.spec import Precision
from keepers.core.weights.store import WeightStore
from keepers.models import coherence
from keepers.models.faramir import faramir
from keepers.models.faramir.net import Own
from keepers.models.nets.aesthetic import AestheticHead
from keepers.models.nets.arniqa import Encoder
from keepers.models.nets.siglip import Packed, SigLip, can_pack
from keepers.models.registry import Registry
from keepers.tests.parity.faramir_pictures import random_tensor, scene

from .coherence import write_weights as write_coherence
from .timing import interleaved

ROUNDS = int(os.environ.get("FARAMIR_ROUNDS", "3"))
GFLOP = 717.0
ORIGINAL = os.environ.get("FARAMIR_DIR", "")
PYTHON = os.environ.get("FARAMIR_PYTHON", "")

OURS = """
import json, resource, sys
from time import perf_counter
begin = perf_counter()
import torch, numpy, PIL.Image, torchvision.models.resnet
from pathlib import Path
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
base = peak()
from keepers.benchmarks.faramir import load
from keepers.core.pictures.open import open_image
model = load(Path(sys.argv[1]), sys.argv[2])
loaded = perf_counter()
model.classify([open_image(Path(sys.argv[3]))])
print(json.dumps({"first verdict": perf_counter() - begin, "loaded": loaded - begin, "MB": peak() - base}))
"""

THEIRS = """
import json, resource, sys
from time import perf_counter
begin = perf_counter()
sys.path.insert(0, sys.argv[2])
import torch, numpy, PIL.Image, timm
from pathlib import Path
from unittest import mock
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
base = peak()
folder, create = Path(sys.argv[1]), timm.create_model
def made(name, pretrained=False, **options):
    path = {"pretrained_cfg_overlay": {"file": str(folder / "model.safetensors")}} if pretrained else {}
    return create(name.split(".")[0], pretrained=pretrained, **options, **path)
hub = lambda url, **_: torch.load(folder / url.split("/")[-1], map_location="cpu", weights_only=True)
from model import ClassifierModel
from image import load_image
with mock.patch.object(timm, "create_model", made), mock.patch.object(torch.hub, "load_state_dict_from_url", hub):
    net = ClassifierModel()
net.load_state_dict(torch.load(folder / "faramir-v1.pth", weights_only=True), strict=False)
net.eval()
loaded = perf_counter()
with torch.no_grad():
    views = [torch.from_numpy(x)[None] for x in load_image(sys.argv[3], 384, 512)]
    net(*(x.to(dtype=torch.float32, memory_format=torch.channels_last) for x in views))
print(json.dumps({"first verdict": perf_counter() - begin, "loaded": loaded - begin, "MB": peak() - base}))
"""


def write_weights(folder: Path) -> None:
    """The four files at full width, with seeded values."""
    if (folder / "faramir-v1.pth").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    with torch.device("meta"):
        tower, damage, head, own = SigLip(), Encoder(), AestheticHead(1152), Own()
    save_file(_seeded(tower, "backbone."), folder / "model.safetensors")
    torch.save(_seeded(damage, "arniqa."), folder / "ARNIQA.pth")
    torch.save(_seeded(head, "aesthetic."), folder / "aesthetic_predictor_v2_5.pth")
    torch.save(_seeded(own, "own."), folder / "faramir-v1.pth")


def _seeded(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {k: torch.from_numpy(random_tensor(prefix + k, tuple(v.shape))) for k, v in module.state_dict().items()}


def load(folder: Path, precision: Precision) -> Classifier:
    """Ours, on the CPU."""
    return Classifier.load(faramir.SPEC, WeightStore([folder]), Runtime(device="cpu"), precision)


def original(folder: Path) -> nn.Module:
    """The original's net with the same weights, without its preprocessing."""
    import timm

    sys.path.insert(0, ORIGINAL)
    import model  # pyright: ignore[reportMissingImports]

    create = timm.create_model

    def made(name: str, num_classes: int, **_: object) -> nn.Module:
        return create(name.split(".")[0], num_classes=num_classes)

    def downloaded(url: str, **_: object) -> dict[str, Tensor]:
        return torch.load(folder / url.split("/")[-1], map_location="cpu", weights_only=True)

    with (
        mock.patch.object(timm, "create_model", made),
        mock.patch.object(torch.hub, "load_state_dict_from_url", downloaded),
    ):
        net = model.ClassifierModel()
    net.load_state_dict(torch.load(folder / "faramir-v1.pth", weights_only=True), strict=False)
    net.backbone.load_state_dict(dict(WeightStore([folder]).tensors(faramir.SIGLIP)))
    return net.eval()


@torch.no_grad()
def ask_original(net: nn.Module, prepared: Prepared) -> Tensor:
    """Ask it as the original's inference.py does."""
    return net(*(view[None].to(memory_format=torch.channels_last) for view in prepared))


def peaks() -> tuple[float, float]:
    """The fastest matrix product of the backbone's own shapes, in GFLOP/s: float32 and bfloat16."""
    best = [0.0, 0.0]
    for inside, outside in ((1152, 3456), (1152, 4304), (4304, 1152)):
        x, weight, bias = torch.randn(729, inside), torch.randn(outside, inside), torch.randn(outside)
        exact = Packed(weight, bias, 729) if can_pack() else nn.Linear(inside, outside)
        low = [value.bfloat16() for value in (x, weight, bias)]
        works: list[Callable[[], Tensor]] = [
            lambda exact=exact, x=x: exact(x),
            lambda low=low: nn.functional.linear(*low),
        ]
        for place, work in enumerate(works):
            best[place] = max(best[place], 2 * 729 * inside * outside / 1e9 / fastest(work))
    return best[0], best[1]


@torch.inference_mode()
def fastest(work: Callable[[], Tensor]) -> float:
    """Seconds of the fastest of twelve runs."""
    times: list[float] = []
    for _ in range(12):
        begin = perf_counter()
        work()
        times.append(perf_counter() - begin)
    return min(times)


def compare_speed(folder: Path) -> None:
    """Images a second and share of the peak, ours at both precisions beside the original."""
    exact, fast = load(folder, "exact"), load(folder, "fast")
    prepared = exact.prepare(scene(1024, 1536, 2))
    works: dict[str, Callable[[], object]] = {
        "exact": lambda: exact.predict([prepared]),
        "fast": lambda: fast.predict([prepared]),
    }
    if ORIGINAL:
        theirs = original(folder)
        works = {"original": lambda: ask_original(theirs, prepared), **works}
    seconds = interleaved(works, rounds=ROUNDS)
    exact_peak, fast_peak = peaks()
    for name, taken in seconds.items():
        ratio = f", {seconds['original'] / taken:.2f} x the original" if ORIGINAL else ""
        peak = fast_peak if name == "fast" else exact_peak
        share = f"{GFLOP / taken:.0f} GFLOP/s, {GFLOP / taken / peak:.0%} of the measured peak of {peak:.0f}"
        print(f"{name}: {taken:.2f} s an image, {share}{ratio}")


def compare_starts(folder: Path) -> None:
    """Seconds from a cold process to the first verdict, and memory beyond what the libraries take."""
    picture = folder.parent / "start.png"
    scene(1024, 1536, 2).save(picture)
    found = {p: _start(sys.executable, OURS, folder, p, picture) for p in ("exact", "fast")}
    if PYTHON and ORIGINAL:
        found["original"] = _start(PYTHON, THEIRS, folder, ORIGINAL, picture)
    total = sum((folder / file.name).stat().st_size for file in faramir.SPEC.weights) / 2**20
    for name, one in found.items():
        share = one["MB"] / (total / 2 if name == "fast" else total)
        said = f"{name}: loaded in {one['loaded']:.1f} s, first verdict after {one['first verdict']:.1f} s"
        theirs = found.get("original", one)["first verdict"]
        ratio = f", {theirs / one['first verdict']:.1f} times as fast as the original"
        print(f"{said}, {one['MB']:.0f} MB ({share:.2f} x the weights){ratio if 'original' in found else ''}")


def _start(python: str, program: str, *arguments: object) -> dict[str, float]:
    """Medians over some processes."""
    path = {"PYTHONPATH": os.pathsep.join(sys.path)} if python == sys.executable else {}
    command = [python, "-W", "ignore", "-c", program, *map(str, arguments)]
    runs: list[dict[str, float]] = []
    for _ in range(ROUNDS):
        done = run(command, capture_output=True, text=True, check=True, env={**os.environ, **path})
        runs.append(json.loads(done.stdout.splitlines()[-1]))
    return {key: statistics.median(one[key] for one in runs) for key in runs[0]}


def cascade(folder: Path) -> None:
    """The mean cost of an image with `coherence` in front, by the share of images it refuses."""
    write_coherence(folder)
    judge = Judge(Registry(coherence.SPEC, faramir.SPEC), WeightStore([folder]), Runtime(device="cpu"))
    subjects = [Subject(lambda seed=seed: scene(1024, 1024, seed)) for seed in range(4)]
    answers = judge.predict(subjects, "coherence")
    judge.predict(subjects[:1], "faramir")
    scores = sorted(answer["coherent"] for answer in answers if isinstance(answer, Prediction))
    full = 0.0
    for refused in (0, 2, 4):
        threshold = scores[refused] if refused < len(scores) else 1.0
        gate = Gate.parse(f"coherence.coherent >= {threshold:.9f} and faramir.accept >= 0.5")
        begin = perf_counter()
        judged = judge.judge(subjects, gate)
        taken = (perf_counter() - begin) / len(subjects)
        full = full or taken
        asked = sum("faramir" in one.answers for one in judged)
        print(f"refused by coherence {1 - asked / 4:.0%}: {taken:.2f} s an image, {taken / full:.2f} of all")


def main() -> None:
    """Print everything as ratios within this run."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(os.environ.get("FARAMIR_WORK", name)) / "weights"
        write_weights(folder)
        compare_starts(folder)
        compare_speed(folder)
        cascade(folder)


if __name__ == "__main__":
    main()
