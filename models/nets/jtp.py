"""The Joint Tagger Project's nets: a SigLIP image tower with one of two heads over its pooled features."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PlainHead(nn.Module):
    """PILOT's head: one linear layer and a sigmoid."""

    outputs = 1
    """Linear outputs per tag."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = frozen(weight), frozen(bias)

    @property
    def count(self) -> int:
        """The number of tags."""
        return self.weight.shape[0] // self.outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] to probabilities [B, n]."""
        return torch.sigmoid(nn.functional.linear(x, self.weight, self.bias))


class GatedHead(PlainHead):
    """PILOT2's head: twice as many outputs; the second half gates the first."""

    outputs = 2

    def forward(self, x: Tensor) -> Tensor:
        """[B, F] to probabilities [B, n]."""
        act, gate = nn.functional.linear(x, self.weight, self.bias).chunk(2, dim=1)
        return torch.sigmoid(act) * torch.sigmoid(gate)


class Tagger(nn.Module):
    """An image tower and a head; the head always computes in float32."""

    def __init__(self, trunk: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.trunk = trunk
        self.head = head

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to the float32 features [B, F] that the head reads."""
        return self.trunk(x).float()

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to probabilities [B, n]."""
        return self.head(self.features(x))


def frozen(tensor: Tensor) -> nn.Parameter:
    """A float32 parameter that shares the tensor's memory where possible; nothing here is trained."""
    return nn.Parameter(tensor.float(), requires_grad=False)
