"""How far bfloat16 moves the numbers of each model's label groups, on over 200 varied pictures; the tolerances follow.

    python -m keepers.benchmarks.drift

Weights are random, at full width, in the published layout, with several heads over one pass of a tower; a second tower
has outlying channels, as trained ones have. Models whose published files are in the model folders are measured with
them as well. Random weights say how bfloat16 behaves in such a net. They say little about how often a gate's threshold
is near, so the shares of images that are asked again are only a hint.

DRIFT_WORK names a folder that keeps weights and results, so that an interrupted run goes on; DRIFT_PICTURES limits the
pictures, and DRIFT_SHOW=1 only prints what is there. It takes about an hour on two idle cores with AMX, 6 GB of memory
and 3 GB of disk.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime, has_fast_bfloat16
from keepers.core.spec import ModelSpec, Precision
from keepers.core.weights.store import WeightStore
from keepers.examples import failures, pictures
from keepers.models import coherence, jtp
from keepers.models.arniqa import CropsView
from keepers.models.realism.view import Window
from keepers.models.registry import REGISTRY
from keepers.tests.parity.faramir_pictures import PICTURES as ODD
from keepers.tests.parity.faramir_pictures import random_tensor
from keepers.tests.random_weights import random_weights

from ._drift_table import show

Values = NDArray[np.float32]
Measured = dict[str, Values]
"""By model: [heads, 2 (exact, fast), labels] for one picture."""

PRECISIONS: tuple[Precision, ...] = ("exact", "fast")
HEADS = 4
"""Random heads over one pass of a tower."""
SIDE = int(os.environ.get("DRIFT_SIDE", "14"))
"""Patches a side that the random tower sees, of 27: a quarter of the work, and a pool over fewer patches averages less
of the drift away."""
OUTLYING = 20.0
"""How much larger three channels of the second tower are."""


# --- pictures ------------------------------------------------------------------------------------------------------


def varied() -> dict[str, Callable[[], Image.Image]]:
    """Scenes of many kinds, failed generations, noise of many kinds, and odd files: the same on every machine."""
    found: dict[str, Callable[[], Image.Image]] = {}
    for seed in range(7):
        found |= {f"{scene.__name__} {seed}": partial(scene, seed=100 * seed + 1) for scene in SCENES}
    for seed in range(6):
        found |= {f"{name} {seed}": partial(make, seed) for name, make in FAILED.items()}
    return found | {name: lambda make=make: make()[0] for name, make in ODD.items()}


SCENES: tuple[Callable[..., Image.Image], ...] = (
    *(pictures.mountains, pictures.night, pictures.spheres, pictures.cartoon, pictures.line_art, pictures.pixel_art),
    *(pictures.fog, pictures.snow, pictures.stars, pictures.bokeh, pictures.sea, pictures.film, pictures.cloth),
    *(pictures.bricks, pictures.high_key, pictures.page, pictures.gradient),
)
SIZE = (512, 512)


def uniform(seed: int, cells: int) -> Image.Image:
    """Squares of random colours, `cells` a side."""
    small = np.random.RandomState(seed).randint(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(small).resize(SIZE, Image.Resampling.NEAREST)


FAILED: Mapping[str, Callable[[int], Image.Image]] = {
    "solid": lambda seed: failures.solid(SIZE, (40 * seed, 30, 200 - 30 * seed), grain=2 * seed, seed=seed),
    "mottled": lambda seed: failures.mottled(SIZE, (90, 80, 70), 4 + 6 * seed, seed),
    "pixel noise": lambda seed: failures.pixel_noise(SIZE, 20 + 25 * seed, seed=seed),
    "grey noise": lambda seed: failures.pixel_noise(SIZE, 20 + 25 * seed, coloured=False, seed=seed),
    "latent noise": lambda seed: failures.latent_noise(SIZE, 20 + 20 * seed, seed),
    "blurred": lambda seed: failures.blurred(pictures.spheres(SIZE, seed), 10 + 10 * seed),
    "burnt": lambda seed: failures.burnt(pictures.mountains(SIZE, seed), 2 + seed),
    "tiled": lambda seed: failures.tiled(pictures.sea(SIZE, seed), 2 + seed % 2, 2),
    "pixels": lambda seed: uniform(seed, 512),
    "cells": lambda seed: uniform(seed, (8, 16, 32, 64, 128, 256)[seed]),
    "black and white": lambda seed: uniform(seed, 256).convert("1", dither=Image.Dither.NONE),
}


# --- random weights ------------------------------------------------------------------------------------------------


def drawn(name: str, shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """A tensor of the layout, always the same; other seeds give other heads."""
    return torch.from_numpy(random_tensor(f"{seed or ''}{name}", shape))


def filled(module: nn.Module, prefix: str, seed: int) -> nn.Module:
    """The module with random values."""
    module.load_state_dict({k: drawn(prefix + k, tuple(v.shape), seed) for k, v in module.state_dict().items()})
    return module.eval()


class Towers:
    """FARAMIR at both precisions on random weights; all models over SigLIP's tower share one pass of it."""

    def __init__(self, folder: Path, outlying: bool) -> None:
        from keepers.models.faramir.net import Head
        from keepers.models.nets.aesthetic import AestheticHead

        from .faramir import load, write_weights

        write_weights(folder)
        self.nets: dict[Precision, Any] = {precision: load(folder, precision) for precision in PRECISIONS}
        for net in self.nets.values():
            tower = net.network.module.tower
            tower.pos_embed = nn.Parameter(tower.pos_embed[:, : SIDE * SIDE].clone())
            if outlying:
                _outlie(tower)
        self.own = [filled(Head(1152 + 16 + 128), "own.head.", seed) for seed in range(HEADS)]
        self.scores = [filled(AestheticHead(1152), "aesthetic.", seed) for seed in range(HEADS)]
        self.tags = drawn("jtp", (2 * jtp.TAG_COUNT, 1152))

    @torch.inference_mode()
    def __call__(self, picture: Image.Image) -> Measured:
        """All values of all heads."""
        both = [self._values(precision, picture) for precision in PRECISIONS]
        return {model: np.stack([one[model] for one in both], axis=1) for model in both[0]}

    def _values(self, precision: Precision, picture: Image.Image) -> dict[str, Values]:
        net = self.nets[precision]
        module: Any = net.network.module
        view, crop = (one[None] for one in net.prepare(picture))
        at, end = (view.shape[-1] - 14 * SIDE) // 2, (view.shape[-1] + 14 * SIDE) // 2
        features = module.tower.features((view[..., at:end, at:end] - 0.5) * 2.0)
        own, quality, pooled = (
            module.own.attn_pool(features).float(),
            module.quality(crop),
            module.tower.attn_pool(features),
        )
        columns: list[Tensor] = []
        for head, score in zip(self.own, self.scores, strict=True):
            module.own.head = head
            columns.append(module.columns(own, *score(pooled), quality))
        return {
            "faramir": torch.cat(columns).numpy(),
            "aesthetic": torch.cat([score(pooled)[1] for score in self.scores]).numpy(),
            "jtp": nn.functional.linear(pooled.float(), self.tags).numpy(),
            "siglip": nn.functional.normalize(pooled.float(), dim=-1).numpy(),
        }


@torch.no_grad()
def _outlie(tower: Any) -> None:
    """Three channels carry far larger values than the others, from the first block on."""
    for place in (7, 300, 1000):
        tower.pos_embed[..., place] += OUTLYING


class Convolutions:
    """coherence, realism and arniqa on random weights: logits, and ARNIQA's score."""

    def __init__(self) -> None:
        from keepers.models.nets.arniqa import Encoder
        from keepers.models.nets.coherence import CoherenceNet
        from keepers.models.realism.net import ResNetDetector

        self.makers: dict[str, Callable[[], nn.Module]] = {
            "coherence": CoherenceNet,
            "realism": lambda: ResNetDetector(2),
            "arniqa": Encoder,
        }
        self.nets = {
            model: [
                [self._net(model, seed, low) for low in (False, True)]
                for seed in range(HEADS if model != "arniqa" else 1)
            ]
            for model in self.makers
        }
        self.regressors = drawn("regressor", (HEADS, 4096))

    def _net(self, model: str, seed: int, low: bool) -> Any:
        from keepers.models.nets.resnet import fold_batch_norms

        net: Any = self.makers[model]()
        shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
        net.load_state_dict({name: torch.from_numpy(one) for name, one in random_weights(shapes, seed).items()})
        net.eval()
        if model == "arniqa":
            net.fold()
            body = net.model
        else:
            body = net.body
            fold_batch_norms(body)
        if low:
            body.to(torch.bfloat16)
        return net.to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def __call__(self, picture: Image.Image) -> Measured:
        """All values of all nets."""
        found: Measured = {}
        views = {"coherence": coherence.SQUASH(picture)[None], "realism": Window(224)(picture)[None]}
        for model, view in views.items():
            rows = [np.stack([self._logits(model, net, view)[0].numpy() for net in pair]) for pair in self.nets[model]]
            found[model] = np.stack(rows)
        full, half = (CropsView(halve=halve)(picture) for halve in (False, True))
        (pair,) = self.nets["arniqa"]
        scales = [torch.cat([net(full), net(half)], dim=1) for net in pair]
        found["arniqa"] = np.stack([(one @ self.regressors.T).mean(0).numpy() for one in scales], axis=1)[:, :, None]
        return found

    @staticmethod
    def _logits(model: str, net: Any, view: Tensor) -> Tensor:
        body, first = net.body, next(net.body.parameters())
        maps = body(view.to(dtype=first.dtype, memory_format=torch.channels_last))
        return net[1](maps.float()) if model == "coherence" else net.head(maps)


class Published:
    """One model with its published files."""

    def __init__(self, spec: ModelSpec) -> None:
        self.id = spec.id
        runtime = Runtime(device="cpu")
        self.pair = [Classifier.load(spec, WeightStore(), runtime, precision) for precision in PRECISIONS]

    def __call__(self, picture: Image.Image) -> Measured:
        """All values, [1, 2, labels]."""
        prepared = self.pair[0].prepare(picture)
        return {self.id: np.stack([net.predict([prepared])[0].values for net in self.pair])[None]}


def published() -> list[ModelSpec]:
    """The models with a fast precision whose files are here."""
    wanted = ("coherence", "aesthetic", "arniqa", "faramir", "jtp", "siglip")
    specs = [REGISTRY.spec(model) for model in wanted]
    store = WeightStore()
    return [spec for spec in specs if all(file.optional or store.find(file) for file in spec.weights)]


# --- measuring -----------------------------------------------------------------------------------------------------


def measure(work: Path, name: str, ask: Callable[[], Callable[[Image.Image], Measured]]) -> None:
    """Ask about every picture that the folder has no results for."""
    made: Callable[[Image.Image], Measured] | None = None
    shown = sorted(varied().items(), key=lambda one: zlib.crc32(one[0].encode()))  # so that a part is varied, too
    shown = shown[: int(os.environ.get("DRIFT_PICTURES", "0")) or None]
    folder = work / name
    folder.mkdir(parents=True, exist_ok=True)
    for number, (title, picture) in enumerate(shown):
        path = folder / f"{number:03}.npz"
        if path.exists():
            continue
        made = made or ask()
        found = made(picture())
        partial_path = path.with_suffix(".part.npz")
        np.savez(partial_path, **found)  # pyright: ignore[reportArgumentType]
        partial_path.replace(path)
        print(name, number, title, flush=True)


def main() -> None:
    """Measure what is not measured yet, then print the table."""
    if not has_fast_bfloat16(torch.device("cpu")):
        print("This processor has no bfloat16 arithmetic: the drift of others may differ.")
    with tempfile.TemporaryDirectory() as name:
        work = Path(os.environ.get("DRIFT_WORK", name))
        weights = work / "weights"
        weights.mkdir(parents=True, exist_ok=True)
        if os.environ.get("DRIFT_SHOW"):
            show(work)
            return
        measure(work, "convolutions", Convolutions)
        measure(work, "tower", lambda: Towers(weights, outlying=False))
        measure(work, "outlying", lambda: Towers(weights, outlying=True))
        for spec in published():
            measure(work, f"published-{spec.id}", partial(Published, spec))
        show(work)


if __name__ == "__main__":
    main()
