"""Two tiny models with files of their own: `cheap` likes bright pictures, `dear` red ones. They count their work."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from keepers.core.judging.judge import Judge
from keepers.core.pictures.preprocess import Preprocess
from keepers.core.prediction import Labels, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import Build, ModelSpec, Network
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import REGISTRY, Registry

DRIFT = 0.02
"""By how much the fast nets may be off; they are off by half of it, on purpose."""
LABELS = Labels(("good", "bad"), drifts=(("", DRIFT),))
VIEW = Preprocess(8, "squash", "bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


@dataclass
class Work:
    """Which model saw how many images, in order."""

    batches: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])

    def images(self, model: str) -> int:
        return sum(count for name, count in self.batches if name.startswith(model))


class TinyNet(nn.Module):
    """good = the weighted mean of the three colours, as it is."""

    def __init__(self, name: str, work: Work, drift: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3))
        self.name, self.work, self.drift = name, work, drift

    def forward(self, views: Tensor) -> Tensor:
        self.work.batches.append((self.name, len(views)))
        good = (views.mean((2, 3)) * self.weight).sum(1) + self.drift
        return torch.stack([good, 1 - good], 1)


def spec(name: str, cost: float, work: Work) -> ModelSpec:
    file = WeightFile(name=f"{name}.safetensors", licence="none")

    def build(given: Build) -> Network:
        fast = given.precision == "fast"
        net = TinyNet(f"{name} {given.precision}", work, DRIFT / 2 if fast else 0.0)
        net.load_state_dict(dict(given.tensors(file)))
        return Network(net, LABELS, (VIEW,), partial(argmax_label, LABELS), tolerance=1.0 if fast else 0.0)

    return ModelSpec(
        name, name.title(), "tiny", "", "none", build, (file,), cost, f"accept: {name}.good >= 0.5", lambda: LABELS
    )


def registry(work: Work, folder: Path) -> Registry:
    """The two models, with their files written into `folder`."""
    save_file({"weight": torch.full((3,), 1 / 3)}, folder / "cheap.safetensors")
    save_file({"weight": torch.tensor([1.0, 0.0, 0.0])}, folder / "dear.safetensors")
    return Registry(spec("cheap", 1, work), spec("dear", 100, work))


def register(work: Work, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two models and `words`, a tagger, in the registry that all doors share, with their files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    tiny = registry(work, folder)
    save_file({"weight": torch.full((3,), 1 / 3)}, folder / "words.safetensors")
    words = replace(spec("words", 50, work), tags={"": 0.5}, gate="")
    for one in (*tiny, words):
        monkeypatch.setitem(REGISTRY._specs, one.id, one)  # pyright: ignore[reportPrivateUsage]  # for this test only


def judge(
    work: Work, folder: Path, *, precision: str = "exact", batch: int = 4, runtime: Runtime | None = None
) -> Judge:
    chosen = runtime or Runtime(device="cpu", precision=precision)  # pyright: ignore[reportArgumentType]
    return Judge(registry(work, folder), WeightStore([folder]), chosen, batch=batch)


def plain(red: int, green: int, blue: int, size: int = 16) -> Image.Image:
    return Image.fromarray(np.full((size, size, 3), (red, green, blue), np.uint8))
