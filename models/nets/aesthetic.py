"""Aesthetic Predictor V2.5: five linear layers over SigLIP's pooled vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from .siglip import SigLip

WIDTHS = (1024, 128, 64, 16, 1)


class AestheticHead(nn.Module):
    """Linear layers only: together one affine map, computed layer by layer to give the published bits."""

    def __init__(self, width: int, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip((width, *widths[:-1]), widths, strict=True):
            layers += [nn.Linear(inside, outside), nn.Identity()]  # where the original has its dropout
        self.scoring_head = nn.Sequential(*layers[:-1])

    def forward(self, pooled: Tensor) -> tuple[Tensor, Tensor]:
        """[B, C] to the last hidden layer [B, 16] and the score [B, 1], about 1 to 10."""
        hidden = self.scoring_head[:-1](F.normalize(pooled.float(), dim=-1))
        return hidden, self.scoring_head[-1](hidden)


class Aesthetic(nn.Module):
    """The published predictor: [B, 3, 384, 384] to the score [B, 1]."""

    def __init__(self, tower: SigLip, head: AestheticHead) -> None:
        super().__init__()
        self.tower = tower
        self.head = head

    def forward(self, pixels: Tensor) -> Tensor:
        """The original runs transformers' SigLIP, which approximates GELU by tanh; timm and FARAMIR do not."""
        return self.head(self.tower(pixels, tanh=True))[1]
