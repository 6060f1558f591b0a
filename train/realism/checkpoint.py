"""Checkpoints: the state of a training in one safetensors file, from which an interrupted training resumes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from ...core.errors import KeepersError
from ...core.files import atomic_write
from ...core.weights.formats.read import read_tensors

KEY = "keepers_training"
NET, BEST, OPTIMISER = "net.", "best.", "optimiser."


@dataclass
class Epoch:
    """The result of one epoch. Losses are means over images; accuracies are shares from 0 to 1."""

    loss: float
    accuracy: float
    validation_loss: float = float("nan")
    validation_accuracy: float = float("nan")
    seconds: float = 0.0


@dataclass
class State:
    """How far a training has come."""

    epoch: int = 0
    """The current epoch, from 0."""
    step: int = 0
    """How many of its steps are done."""
    loss_sum: float = 0.0
    """The sum of losses over the images of this epoch so far."""
    right: int = 0
    seen: int = 0
    seconds: float = 0.0
    """Spent on this epoch."""
    best: int = -1
    """The epoch with the smallest validation loss; -1 before there is one."""
    history: list[Epoch] = field(default_factory=list[Epoch])


def save_checkpoint(
    path: Path, key: str, state: State, net: nn.Module, optimiser: torch.optim.Optimizer, best: Mapping[str, Tensor]
) -> None:
    """Writes everything, whole or not at all. `key` identifies the training. Raises WriteFailed."""
    tensors = {NET + name: tensor for name, tensor in net.state_dict().items()}
    tensors |= {BEST + name: tensor for name, tensor in best.items()}
    for number, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            if value is not None:
                tensors[f"{OPTIMISER}{number}.{name}"] = torch.as_tensor(value)
    described = json.dumps({"key": key, **asdict(state)})
    ready = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    atomic_write(path, save(ready, metadata={KEY: described}))


def load_checkpoint(
    path: Path, key: str, net: nn.Module, optimiser: torch.optim.Optimizer
) -> tuple[State, dict[str, Tensor]] | None:
    """Restores net and optimiser, and returns the state and the best epoch's tensors.

    None if there is no checkpoint, or one of another training: the training then starts from the beginning.
    """
    if not path.is_file():
        return None
    try:
        found = read_tensors(path)
        described: dict[str, Any] = json.loads(found.metadata[KEY])
        if described.pop("key") != key:
            return None
        history = [Epoch(**epoch) for epoch in described.pop("history")]
        state = State(**described, history=history)
        net.load_state_dict(_part(found, NET))
        _restore(optimiser, _part(found, OPTIMISER))
        return state, _part(found, BEST)
    except (KeepersError, KeyError, TypeError, ValueError, RuntimeError):
        return None  # a damaged checkpoint costs time, not the training


def _part(found: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: found[name].clone() for name in found if name.startswith(prefix)}


def _restore(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        number, _, entry = name.partition(".")
        state.setdefault(int(number), {})[entry] = tensor
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
