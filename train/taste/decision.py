"""FARAMIR's decision layers, trained as their author trained them.

The author names the layers that may be fine-tuned (`head.linear_3`, `head.activation_2`, `head.linear_4`), the learning
rate (about 4e-4), and what must not decay (biases and the adaptive sigmoid's parameters); dropout, gate dropout and the
step on gamma_p are in the published model's own code (redhottensors/FARAMIR, model.py). Several copies of the layers
are trained at once, each on its own subset of the images, because that takes no longer than training one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LAYERS: Mapping[str, tuple[int, ...]] = {
    "head.linear_3.weight": (8, 32),
    "head.linear_3.bias": (8,),
    "head.activation_2.alpha": (8,),
    "head.activation_2.gamma_m": (8,),
    "head.activation_2.gamma_p": (8,),
    "head.linear_4.weight": (1, 8),
    "head.linear_4.bias": (1,),
}
"""The tensors that are trained, by their names in the published file; nothing else ever changes."""
DECAYING = ("head.linear_3.weight", "head.linear_4.weight")

DROPOUT = 0.2
UNGATED = 0.1
"""The share of class values that lose their gate in training."""
ZEROED = 0.1
"""The share of class values that are set to zero in training."""
LEARNING_RATE = 4e-4
DECAY = 0.01


@dataclass(frozen=True)
class Inputs:
    """What the decision reads of n images; all of it is in FARAMIR's stored predictions."""

    raw: Tensor
    """[n, 30] logits of the classes before their gates."""
    gate: Tensor
    """[n, 30] logits of the gates."""
    free: Tensor
    """[n, 2]"""

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, rows: Tensor) -> Inputs:
        return Inputs(self.raw[rows], self.gate[rows], self.free[rows])

    def whole(self) -> Tensor:
        """[n, 32]: the decision's inputs in evaluation."""
        return torch.cat([self.raw * self.gate.sigmoid(), self.free], dim=-1)


@dataclass(frozen=True)
class Masks:
    """The random numbers of one training step, for `copies` copies and a batch of n images."""

    classes: Tensor
    """[copies, n, 30], uniform in [0, 1): below UNGATED the gate is dropped, from 1 - ZEROED up the value is zero."""
    free: Tensor
    """[copies, n, 2]: 0 or 1 / (1 - DROPOUT)."""
    hidden: Tensor
    """[copies, n, 8]: 0 or 1 / (1 - DROPOUT)."""

    @classmethod
    def draw(cls, copies: int, count: int, generator: torch.Generator) -> Masks:
        """Fresh masks."""
        drawn = torch.rand((copies, count, 40), generator=generator)
        classes, free, hidden = drawn.split([30, 2, 8], dim=-1)
        return cls(classes, (free >= DROPOUT) / (1 - DROPOUT), (hidden >= DROPOUT) / (1 - DROPOUT))


class Decisions(nn.Module):
    """`copies` copies of the three layers, all starting from the same values."""

    def __init__(self, tensors: Mapping[str, Tensor], copies: int = 1) -> None:
        """`tensors` holds the values of LAYERS; any others are ignored."""
        super().__init__()
        stacked = {name: tensors[name].detach().float().repeat(copies, *(1 for _ in LAYERS[name])) for name in LAYERS}
        self.layers = nn.ParameterDict({_key(name): nn.Parameter(tensor) for name, tensor in stacked.items()})

    def __getitem__(self, name: str) -> nn.Parameter:
        """The stacked tensor of a layer, [copies, ...]."""
        return self.layers[_key(name)]

    def copy(self, index: int) -> dict[str, Tensor]:
        """The tensors of one copy, by their published names."""
        return {name: self[name][index].detach().clone() for name in LAYERS}

    def forward(self, inputs: Inputs) -> Tensor:
        """[copies, n]: the logits of acceptance in evaluation."""
        whole = inputs.whole().expand(len(self["head.linear_4.bias"]), -1, -1)
        return self._decide(whole, None)

    def train_logits(self, inputs: Inputs, masks: Masks) -> Tensor:
        """[copies, n]: the logits of acceptance in training."""
        value = inputs.raw * inputs.gate.sigmoid()
        kept = torch.where(masks.classes >= UNGATED, value, inputs.raw)
        kept = torch.where(masks.classes < 1.0 - ZEROED, kept, 0.0)
        return self._decide(torch.cat([kept, inputs.free * masks.free], dim=-1), masks.hidden)

    def _decide(self, inputs: Tensor, hidden_mask: Tensor | None) -> Tensor:
        x = torch.baddbmm(self["head.linear_3.bias"][:, None], inputs, self["head.linear_3.weight"].mT)
        alpha, minus, plus = (self[f"head.activation_2.{part}"][:, None] for part in ("alpha", "gamma_m", "gamma_p"))
        slope = torch.where(x < 0.0, minus, plus.abs() + 1.0)
        x = torch.lerp(x, x.tanh(), alpha.sigmoid()) * (x * slope).sigmoid()
        x = x if hidden_mask is None else x * hidden_mask
        return torch.baddbmm(self["head.linear_4.bias"][:, None], x, self["head.linear_4.weight"].mT)[..., 0]

    def optimizer(self, learning_rate: float = LEARNING_RATE, decay: float = DECAY) -> torch.optim.AdamW:
        """AdamW, with no decay on biases and the adaptive sigmoid."""
        free = [self[name] for name in LAYERS if name not in DECAYING]
        groups = [
            {"params": [self[name] for name in DECAYING], "weight_decay": decay},
            {"params": free, "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=learning_rate)

    def after_step(self) -> None:
        """What the original does after each step: gamma_p stays positive."""
        with torch.no_grad():
            self["head.activation_2.gamma_p"].abs_()

    def pull_back(self, start: Mapping[str, Tensor], strength: Tensor) -> None:
        """Adds the gradient of strength / 2 * (squared distance from `start`) for each copy; `strength` is [copies]."""
        with torch.no_grad():
            for name in LAYERS:
                away = self[name] - start[name]
                gradient = self[name].grad
                assert gradient is not None, "the loss was differentiated before"
                gradient.add_(away * strength.view(-1, *(1 for _ in LAYERS[name])))

    def __iter__(self) -> Iterator[str]:
        return iter(LAYERS)


def step(
    decisions: Decisions,
    optimizer: torch.optim.Optimizer,
    inputs: Inputs,
    keep: Tensor,
    masks: Masks,
    weights: Tensor | None = None,
    pull: tuple[Mapping[str, Tensor], Tensor] | None = None,
) -> Tensor:
    """One training step; returns the loss of each copy, [copies].

    Args:
        keep: [n], 1.0 for keep and 0.0 for reject.
        weights: [copies, n], how much each image counts for each copy; None counts all equally.
        pull: values that each copy is pulled towards, and how strongly, [copies] (see Decisions.pull_back).
    """
    logits = decisions.train_logits(inputs, masks)
    each = F.binary_cross_entropy_with_logits(logits, keep.expand_as(logits), reduction="none")
    loss = each.mean(1) if weights is None else (each * weights).sum(1) / weights.sum(1).clamp(min=1e-9)
    optimizer.zero_grad(set_to_none=True)
    loss.sum().backward()  # each copy reads only its own tensors, so the sum trains each by its own loss
    if pull is not None:
        decisions.pull_back(*pull)
    optimizer.step()
    decisions.after_step()
    return loss.detach()


def _key(name: str) -> str:
    return name.replace(".", "_")
