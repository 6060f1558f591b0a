"""A small world to learn a taste in: FARAMIR at tiny width, images that were scored but never were, a hidden rule."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from keepers.collection.mark_store import MarkStore
from keepers.collection.marks import UserMark
from keepers.collection.store import SeenFile, SeenImage, Store
from keepers.core.judging.classifier import model_fingerprint
from keepers.core.prediction import Prediction
from keepers.core.weights.store import WeightStore
from keepers.models.faramir import faramir, labels
from keepers.models.faramir.labels import CLASSES, LABELS
from keepers.tests.models.tiny_models import faramir_tensors
from keepers.train.taste.decision import LAYERS, Decisions, Inputs

Rule = Callable[[NDArray[np.float64]], NDArray[np.bool_]]
ACCEPTING = 9


def published(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """What the published decision was trained for: the strongest class is one of the accepting ones."""
    return values.argmax(1) < ACCEPTING


def picky(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """A user's hidden rule: only five of the nine accepting classes."""
    return np.isin(values.argmax(1), (0, 1, 2, 3, 6))


def decision() -> dict[str, Tensor]:
    """Layers that follow `published`, made by hand: four units see accepting classes, four rejecting ones."""
    weight = torch.zeros(8, 32)
    for unit in range(8):
        members = range(unit, ACCEPTING, 4) if unit < 4 else range(ACCEPTING + unit - 4, len(CLASSES), 4)
        weight[unit, list(members)] = 0.8
    wobble = torch.from_numpy(np.random.RandomState(3).randn(8, 32).astype(np.float32))
    made = {
        "head.linear_3.weight": weight + 0.05 * wobble,
        "head.linear_3.bias": torch.full((8,), 0.2),
        "head.activation_2.alpha": torch.full((8,), 1.0),
        "head.activation_2.gamma_m": torch.full((8,), 0.5),
        "head.activation_2.gamma_p": torch.full((8,), 0.5),
        "head.linear_4.weight": torch.tensor([[1.5, 1.5, 1.5, 1.5, -1.5, -1.5, -1.5, -1.5]]),
        "head.linear_4.bias": torch.zeros(1),
    }
    assert {name: tuple(tensor.shape) for name, tensor in made.items()} == dict(LAYERS)
    return made


def inputs(count: int, seed: int) -> tuple[Inputs, NDArray[np.float64]]:
    """What the decision reads of images that each show one class, some a second one; and the gated class values."""
    random = np.random.RandomState(seed)
    first, second = random.randint(0, 30, count), random.randint(0, 30, count)
    raw, gate = -3 + 1.5 * random.randn(count, 30), -3 + random.randn(count, 30)
    mixed = np.flatnonzero(random.rand(count) < 0.3)
    raw[mixed, second[mixed]], gate[mixed, second[mixed]] = 1 + random.randn(len(mixed)), 1.0
    rows = np.arange(count)
    raw[rows, first], gate[rows, first] = 4 + random.randn(count), 3 + random.randn(count)
    tensors = [torch.tensor(part, dtype=torch.float32) for part in (raw, gate, random.randn(count, 2))]
    return Inputs(*tensors), raw / (1 + np.exp(-gate))


def predictions(found: Inputs, layers: Mapping[str, Tensor], fingerprint: str) -> list[Prediction]:
    """As FARAMIR would have stored them."""
    with torch.no_grad():
        logit = Decisions(layers)(found)[0][:, None]
    value = found.raw * found.gate.sigmoid()
    columns = [logit.sigmoid(), value.sigmoid(), logit.sigmoid(), logit, value, found.raw, found.gate, found.free]
    table = torch.cat([*columns, torch.full_like(logit, 5.0)], dim=1).numpy()
    return [Prediction("faramir", LABELS, row, *labels.name(row), fingerprint=fingerprint) for row in table]


@dataclass(frozen=True)
class World:
    """Where everything lies."""

    weights: Path
    db: Path
    keep: NDArray[np.bool_]
    contents: tuple[str, ...]


def weights(folder: Path) -> Path:
    """FARAMIR's four files at tiny width, with the decision of `decision`."""
    tensors = faramir_tensors()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors["backbone"], folder / "model.safetensors")
    torch.save({**tensors["own"], **decision()}, folder / "faramir-v1.pth")
    torch.save(tensors["arniqa"], folder / "ARNIQA.pth")
    torch.save(tensors["aesthetic"], folder / "aesthetic_predictor_v2_5.pth")
    return folder


def world(folder: Path, count: int, rule: Rule, *, seed: int = 1, wrong: float = 0.0) -> World:
    """A store with `count` scored and labelled images; a share of the labels is wrong."""
    place = weights(folder / "weights")
    fingerprint = model_fingerprint(faramir.SPEC, explicit_store(place))
    found, values = inputs(count, seed)
    keep = rule(values)
    keep = keep ^ (np.random.RandomState(seed + 1).rand(count) < wrong)
    contents = tuple(hashlib.sha256(f"{seed} {index}".encode()).hexdigest() for index in range(count))
    with Store(folder / "keepers.db") as store:
        store.add(
            files=[SeenFile(folder / f"{index}.png", 1, 1, one) for index, one in enumerate(contents)],
            images=[SeenImage(one, 512, 512) for one in contents],
            predictions=list(zip(contents, predictions(found, decision(), fingerprint), strict=True)),
        )
        labels = [
            UserMark(one, "keep" if kept else "reject", "review", 1e9 + index)
            for index, (one, kept) in enumerate(zip(contents, keep, strict=True))
        ]
        MarkStore(store).add(labels)
    return World(place, folder / "keepers.db", keep, contents)


def explicit_store(place: Path) -> WeightStore:
    """The weights of a world, and nothing of this machine's."""
    return WeightStore([place])
