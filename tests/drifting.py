"""The tiny models with fast numbers that are off by as much as a test wants."""

from __future__ import annotations

import zlib
from dataclasses import replace
from pathlib import Path

import torch

from keepers.core.judging.judge import Judge
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec
from keepers.core.weights.store import WeightStore
from keepers.models.registry import Registry
from keepers.tests import tiny
from keepers.tests.tiny import DRIFT, Work


def is_up(view: torch.Tensor) -> bool:
    """Whether a picture's number is moved up."""
    return bool(zlib.crc32(view.numpy().tobytes()) % 2)


class Drifting(torch.nn.Module):
    """A tiny net whose numbers are off by `times` the stated drift, one way or the other, picture by picture."""

    def __init__(self, net: tiny.TinyNet, times: float) -> None:
        super().__init__()
        self.net, self.times = net, times

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        values = self.net(views)
        signs = [1.0 if is_up(view) else -1.0 for view in views]
        moved = self.times * DRIFT * torch.tensor(signs)
        return values + torch.stack([moved, -moved], 1)


def drifting(spec: ModelSpec, times: float) -> ModelSpec:
    def build(given: object) -> object:
        network = spec.build(given)  # pyright: ignore[reportArgumentType]
        network.module.drift = 0.0  # pyright: ignore[reportArgumentType]
        return replace(network, module=Drifting(network.module, times)) if network.tolerance else network  # pyright: ignore[reportArgumentType]

    return replace(spec, build=build)  # pyright: ignore[reportArgumentType]


def judge(folder: Path, precision: str, times: float = 1.0, told: list[str] | None = None) -> Judge:
    registry = tiny.registry(Work(), folder)
    specs = [drifting(registry.spec(name, WeightStore([folder])), times) for name in ("cheap", "dear")]
    tell = (told if told is not None else []).append
    runtime = Runtime(device="cpu", precision=precision, tell=tell)  # pyright: ignore[reportArgumentType]
    return Judge(Registry(*specs), WeightStore([folder]), runtime, batch=4)
