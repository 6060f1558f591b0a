"""A linear probe on another model's numbers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Probe(nn.Module):
    """The probability of keep: the sigmoid of a weighted sum of the base's columns."""

    def __init__(self, base: nn.Module, columns: Tensor, weight: Tensor, bias: Tensor) -> None:
        """`columns` are positions among the base's outputs; `weight` is [len(columns)], `bias` [1]."""
        super().__init__()
        self.base = base
        self.columns: Tensor
        self.weight: Tensor
        self.bias: Tensor
        for name, value in (("columns", columns), ("weight", weight), ("bias", bias)):
            self.register_buffer(name, value)

    def forward(self, *views: Tensor) -> Tensor:
        return self.read(self.base(*views))

    def read(self, values: Tensor) -> Tensor:
        """From the base's outputs [B, F] to [B, 1]."""
        weight, bias = self.weight.to(values.device), self.bias.to(values.device)
        return (values[:, self.columns.to(values.device)].float() @ weight + bias)[:, None].sigmoid()


def head(columns: Tensor, weight: Tensor, bias: Tensor) -> Probe:
    """A probe without its base, for `read`."""
    return Probe(nn.Identity(), columns, weight, bias).eval()


def probability(probe: Probe, values: Tensor) -> Tensor:
    """`read` without gradients, for one image: [F] to [1]."""
    with torch.inference_mode():
        return probe.read(values[None])[0]
