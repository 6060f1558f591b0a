"""The training loop: steps, epochs, checkpoints. It keeps the best epoch; interruptions do not change the result."""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import KeepersError
from ...models.realism.view import Window
from .batches import augmented, order, plain
from .checkpoint import Epoch, State, load_checkpoint, save_checkpoint
from .recipe import TrainingRecipe

if TYPE_CHECKING:
    from numpy.typing import NDArray

EVERY = 60.0
"""Seconds between checkpoints within an epoch."""
TEST_BATCH = 64


@dataclass(frozen=True)
class Progress:
    """The progress of a training, reported after every step."""

    epoch: int
    """From 1."""
    epochs: int
    step: int
    steps: int
    """Of this epoch."""
    loss: float
    """Of this epoch so far."""
    accuracy: float
    seconds_left: float
    """For all epochs, assuming no early stop."""


Tell = Callable[[Progress], None]


@dataclass(frozen=True)
class TrainingData:
    """The data of a training."""

    pixels: NDArray[np.uint8]
    """[N, 1 or 3, side, side]"""
    labels: NDArray[np.int64]
    """[N]"""
    margin: int
    window: Window
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    classes: int

    def weights(self) -> Tensor:
        """[classes]: inverse to the number of training images of each class, with mean 1 over the training images."""
        counts = np.bincount(self.labels[self.train], minlength=self.classes)
        return torch.tensor(len(self.train) / (self.classes * np.maximum(1, counts)), dtype=torch.float32)


@dataclass(frozen=True)
class TrainingCourse:
    """How a training went. Afterwards the net holds the weights of the best epoch."""

    history: tuple[Epoch, ...]
    best: int
    """The position of the epoch that was kept."""


class Training:
    """Trains one net once. `run` may be interrupted by any exception at any step, and called again."""

    def __init__(
        self,
        net: nn.Module,
        data: TrainingData,
        recipe: TrainingRecipe,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        checkpoint: Path | None = None,
        tell: Tell = lambda _progress: None,
        every: float = EVERY,
    ) -> None:
        """`checkpoint`: a file to resume from, written every `every` seconds and on interruption."""
        self.net = net.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub
        self.data, self.recipe, self.seed, self.device = data, recipe, seed, torch.device(device)
        self.checkpoint, self.tell, self.every = checkpoint, tell, every
        self.optimiser = _optimiser(self.net, recipe)
        self.weights = data.weights().to(device)
        self.state = State()
        self.best: dict[str, Tensor] = {}
        self._saved = 0.0
        self._whole = True

    @property
    def steps(self) -> int:
        """Steps per epoch."""
        return math.ceil(len(self.data.train) / self.recipe.batch)

    def run(self) -> TrainingCourse:
        """Trains to the end, from the checkpoint if there is one."""
        self._resume()
        self._saved = time.monotonic()
        try:
            with _repeatable(self.device):
                while not self._is_over():
                    self._epoch()
        except BaseException:
            if self._whole:  # half a step must not be resumed from: the last checkpoint then stands
                self._save()
            raise
        self.net.load_state_dict(self.best)
        return TrainingCourse(tuple(self.state.history), self.state.best)

    def _is_over(self) -> bool:
        history = self.state.history
        return bool(history) and self.recipe.is_over(
            [epoch.loss for epoch in history], [epoch.validation_loss for epoch in history]
        )

    def _epoch(self) -> None:
        state, batch = self.state, self.recipe.batch
        places = order(self.data.train, self.seed, state.epoch)
        self.net.train()
        while state.step < self.steps:
            start = time.monotonic()
            part = places[state.step * batch : (state.step + 1) * batch]
            self._whole = False
            loss, right = self.step(part, (self.seed, state.epoch, state.step))
            if not math.isfinite(loss):
                raise KeepersError("The loss is no longer a number: train again with a lower --rate.")
            self.state = state = replace(
                state,
                step=state.step + 1,
                loss_sum=state.loss_sum + loss * len(part),
                right=state.right + right,
                seen=state.seen + len(part),
                seconds=state.seconds + time.monotonic() - start,
            )
            self._whole = True
            self.tell(self._progress())
            self._save(unless_recent=True)
        self._finish_epoch()

    def step(self, places: NDArray[np.intp], chance: tuple[int, int, int]) -> tuple[float, int]:
        """Trains on one batch; returns its loss before the step, and how many images it classified correctly."""
        data, recipe = self.data, self.recipe
        pixels = augmented(data.pixels, places, data.margin, data.window, recipe.augment, chance)
        labels = torch.from_numpy(data.labels[places]).to(self.device)
        for group in self.optimiser.param_groups:
            group["lr"] = recipe.rate_at(chance[1] * self.steps + chance[2], recipe.epochs * self.steps)
        self.optimiser.zero_grad(set_to_none=True)
        logits = self.net(pixels.to(self.device, memory_format=torch.channels_last))
        loss = self._loss(logits, labels, recipe.smoothing)
        loss.backward()
        self.optimiser.step()
        return float(loss.detach()), int((logits.detach().argmax(1) == labels).sum())

    def _loss(self, logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
        """Cross-entropy, weighted by class. Outputs beyond the classes, as in the study's small net, count as wrong."""
        spare = logits.shape[1] - len(self.weights)
        weights = F.pad(self.weights, (0, spare), value=1.0)
        return F.cross_entropy(logits, labels, weight=weights, label_smoothing=smoothing)

    def _finish_epoch(self) -> None:
        state = self.state
        start = time.monotonic()
        loss, accuracy = self._validate()
        seconds = state.seconds + time.monotonic() - start
        epoch = Epoch(state.loss_sum / max(1, state.seen), state.right / max(1, state.seen), loss, accuracy, seconds)
        best = state.best if state.best >= 0 and state.history[state.best].validation_loss <= loss else state.epoch
        if best == state.epoch:
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.net.state_dict().items()}
        self.state = State(epoch=state.epoch + 1, best=best, history=[*state.history, epoch])
        self._save()

    def _validate(self) -> tuple[float, float]:
        logits = logits_of(self.net, self.data, self.data.validation, self.device)
        labels = torch.from_numpy(self.data.labels[self.data.validation])
        weights = self.weights.cpu()
        loss = F.cross_entropy(logits[:, : self.data.classes], labels, weight=weights)
        return float(loss), float((logits.argmax(1) == labels).float().mean())

    def _progress(self) -> Progress:
        state = self.state
        done = state.epoch * self.steps + state.step
        spent = state.seconds + sum(epoch.seconds for epoch in state.history)
        left = spent / max(1, done) * (self.recipe.epochs * self.steps - done)
        seen = max(1, state.seen)
        return Progress(
            state.epoch + 1,
            self.recipe.epochs,
            state.step,
            self.steps,
            state.loss_sum / seen,
            state.right / seen,
            left,
        )

    # --- checkpoints ---------------------------------------------------------------------------------------------

    def key(self) -> str:
        """Identifies net, data and recipe: a training resumes only from its own checkpoint."""
        data = self.data
        described = json.dumps([asdict(self.recipe), asdict(data.window), data.margin, self.seed, data.classes])
        shapes = [(name, tuple(tensor.shape)) for name, tensor in self.net.state_dict().items()]
        digest = hashlib.sha256(f"{described} {shapes}".encode())
        for part in (data.train, data.validation):
            digest.update(part.astype("<i8").tobytes())
            digest.update(data.labels[part].astype("<i8").tobytes())
            for place in part[:: max(1, len(part) // 16)]:
                digest.update(data.pixels[place].tobytes())
        return digest.hexdigest()

    def _resume(self) -> None:
        if self.checkpoint is None:
            return
        found = load_checkpoint(self.checkpoint, self.key(), self.net, self.optimiser)
        if found:
            self.state, self.best = found

    def _save(self, *, unless_recent: bool = False) -> None:
        if self.checkpoint is None or (unless_recent and time.monotonic() - self._saved < self.every):
            return
        save_checkpoint(self.checkpoint, self.key(), self.state, self.net, self.optimiser, self.best)
        self._saved = time.monotonic()


def _repeatable(device: torch.device) -> AbstractContextManager[None]:
    """Restricts a GPU to deterministic algorithms."""
    if device.type != "cuda":
        return nullcontext()
    return torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)


def logits_of(net: nn.Module, data: TrainingData, places: NDArray[np.intp], device: torch.device | str) -> Tensor:
    """[len(places), outputs] on the CPU, with the net as in use: in evaluation mode, images not augmented."""
    net.eval()
    found: list[Tensor] = []
    with torch.no_grad():
        for start in range(0, len(places), TEST_BATCH):
            pixels = plain(data.pixels, places[start : start + TEST_BATCH], data.margin, data.window)
            found.append(net(pixels.to(device, memory_format=torch.channels_last)).float().cpu())
    return torch.cat(found) if found else torch.zeros(0, data.classes)


def _optimiser(net: nn.Module, recipe: TrainingRecipe) -> torch.optim.Optimizer:
    if recipe.optimiser == "sgd":
        return torch.optim.SGD(net.parameters(), lr=recipe.rate, momentum=recipe.momentum, weight_decay=recipe.decay)
    # Only weight matrices decay, not norms and biases.
    matrices = [value for value in net.parameters() if value.ndim > 1]
    others = [value for value in net.parameters() if value.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": recipe.decay}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=recipe.rate)
