"""A timm classifier as a tagger: each output is a probability of its own."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn


class WdNet(nn.Module):
    """A net with timm's `forward_features` and `forward_head`, and a sigmoid."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to the pooled float32 features [B, F]."""
        net = cast("Any", self.net)
        return net.forward_head(net.forward_features(self._cast(x)), pre_logits=True).float()

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, H, W] to probabilities [B, n]."""
        return torch.sigmoid(self.net(self._cast(x)).float())

    def _cast(self, x: Tensor) -> Tensor:
        return x.to(next(self.net.parameters()).dtype)
