"""From a user's labels to a decision of their own, with held-out evidence of its quality."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from .decision import LEARNING_RATE, Decisions, Inputs, Masks, step
from .folds import FOLDS, folds

Bools = NDArray[np.bool_]
Values = NDArray[np.float64]

BATCH = 64
STEPS = 1200
EVERY = 40
"""Steps between two evaluations on the held-out images."""
START, TOP = 0.15, 30.0
"""The share of the steps that use the author's learning rate, and the largest factor by which it then rises."""
PULL = 1.0
"""How strongly the layers are held to the published values: the precision of a prior over their change."""


@dataclass(frozen=True)
class TuningRecipe:
    """How the decision is trained."""

    steps: int = STEPS
    """The maximum; cross-validation chooses how many of them."""
    learning_rate: float = LEARNING_RATE
    pull: float = PULL
    folds: int = FOLDS
    seed: int = 0


@dataclass(frozen=True)
class Tuned:
    """A trained decision, and its answers on held-out images."""

    tensors: Mapping[str, Tensor]
    """By their published names; trained on all labels."""
    before: Values
    """[n]: the published decision's probability for each labelled image."""
    held_out: Values
    """[n]: the probability for each image by the copy that was trained without it."""
    after: Values
    """[n]: the final decision's probability for each image."""
    steps: int
    losses: Values
    """[looks]: the held-out loss at steps 0, EVERY, 2 EVERY, …"""


def tune_decision(
    start: Mapping[str, Tensor],
    inputs: Inputs,
    keep: Bools,
    groups: Sequence[str] = (),
    recipe: TuningRecipe | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Tuned:
    """Trains on all images and, for each fold, on all but the held-out ones.

    The number of steps is chosen by the held-out loss; for the images of one fold, by the loss on the other folds
    alone, so that no image influences its own held-out answer. Step 0, which changes nothing, can be chosen.
    """
    recipe = recipe or TuningRecipe()
    fold = torch.from_numpy(folds(keep, groups, recipe.folds, recipe.seed))
    run = _Run(start, inputs, torch.from_numpy(keep).float(), fold, recipe)
    with _one_thread():
        run.look()
        for done in range(1, recipe.steps + 1):
            run.step((done - 1) / recipe.steps)
            if done % EVERY == 0:
                run.look()
                progress(done, recipe.steps)
        return run.result()


@contextmanager
def _one_thread() -> Generator[None]:
    """These tensors are so small that threads would wait for each other many times longer than the work takes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def rise(done: float) -> float:
    """The factor on the learning rate: 1 at the start, then up to TOP, and down to 1 again.

    A taste near the published one is reached in the first part. One farther away would take tens of thousands of steps
    at a rate of 4e-4. The held-out images decide how far to go.
    """
    if done < START:
        return 1.0
    place = (done - START) / (1 - START)
    return float(TOP ** min(1.0, 4 * place, 2 * (1 - place)))


class _Run:
    """One training: the last copy learns from all images, each other copy from all but its fold."""

    def __init__(
        self, start: Mapping[str, Tensor], inputs: Inputs, keep: Tensor, fold: Tensor, recipe: TuningRecipe
    ) -> None:
        self.start = {name: tensor.float() for name, tensor in start.items()}
        self.inputs, self.keep, self.fold, self.recipe = inputs, keep, fold, recipe
        self.decisions = Decisions(start, recipe.folds + 1)
        self.optimizer = self.decisions.optimizer(recipe.learning_rate)
        held = fold[None] == torch.arange(recipe.folds + 1)[:, None]
        self.weights = (~held).float()
        self.strength = recipe.pull / self.weights.sum(1).clamp(min=1)
        self.generator = torch.Generator().manual_seed(recipe.seed)
        self.looks: list[Tensor] = []
        self.finals: list[dict[str, Tensor]] = []
        self._order = torch.empty(0, dtype=torch.long)

    def step(self, done: float) -> None:
        """One step; `done` is the share of the steps already taken."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.learning_rate * rise(done)
        rows = self._next_rows()
        masks = Masks.draw(len(self.weights), len(rows), self.generator)
        pull = self.start, self.strength
        step(self.decisions, self.optimizer, self.inputs[rows], self.keep[rows], masks, self.weights[:, rows], pull)

    def _next_rows(self) -> Tensor:
        """The next batch of a random order that contains every image once."""
        if len(self._order) < min(BATCH, len(self.keep)):
            self._order = torch.randperm(len(self.keep), generator=self.generator)
        rows, self._order = self._order[:BATCH], self._order[BATCH:]
        return rows

    def look(self) -> None:
        """Records every copy's current answer about every image."""
        with torch.inference_mode():
            self.looks.append(self.decisions(self.inputs).clone())
        self.finals.append(self.decisions.copy(-1))

    def result(self) -> Tuned:
        logits = torch.stack(self.looks)  # [looks, copies, n]
        images = torch.arange(len(self.keep))
        own = logits[:, self.fold, images]  # the answer of the copy that was trained without the image
        each = F.binary_cross_entropy_with_logits(own, self.keep.expand_as(own), reduction="none")
        chosen = int(each.mean(1).argmin())
        held_out = torch.empty(len(self.keep))
        for one in range(self.recipe.folds):
            mine = self.fold == one
            held_out[mine] = own[int(each[:, ~mine].mean(1).argmin()), mine]
        return Tuned(
            self.finals[chosen],
            _probability(logits[0, -1]),
            _probability(held_out),
            _probability(logits[chosen, -1]),
            chosen * EVERY,
            each.mean(1).double().numpy(),
        )


def _probability(logits: Tensor) -> Values:
    return logits.double().sigmoid().numpy()
