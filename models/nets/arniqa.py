"""ARNIQA: a ResNet-50 trained to recognise how pictures are damaged, and regressors from its features to quality."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import Bottleneck

from .resnet import numbered_resnet


class Encoder(nn.Module):
    """The encoder with its projector, under the published names."""

    def __init__(self, *, width: int = 64, projected: int = 128) -> None:
        super().__init__()
        features = 32 * width
        self.model = numbered_resnet([3, 4, 6, 3], width=width, block=Bottleneck)
        self.projector = nn.Sequential(nn.Linear(features, features), nn.ReLU(), nn.Linear(features, projected))

    def forward(self, pixels: Tensor) -> Tensor:
        """ImageNet-normalised pixels [B, 3, H, W] to float32 features [B, 2048] of length 1."""
        pixels = pixels.to(dtype=self.model[0].weight.dtype, memory_format=torch.channels_last)  # pyright: ignore[reportArgumentType, reportCallIssue]
        return F.normalize(self.model(pixels).float().mean((2, 3)), dim=1)

    def projected(self, pixels: Tensor) -> Tensor:
        """The same, projected to [B, 128]."""
        return self.projector(self(pixels))

    def fold(self) -> None:
        """Fold every normalisation into the convolution before it: the same function, one pass over memory less."""
        _fold(self.model, "0", "1")
        for block in self.model.modules():
            if isinstance(block, Bottleneck):
                for number in "123":
                    _fold(block, f"conv{number}", f"bn{number}")
                if block.downsample is not None:
                    _fold(block.downsample, "0", "1")


def _fold(owner: nn.Module, conv: str, norm: str) -> None:
    fused = fuse_conv_bn_eval(cast("nn.Conv2d", getattr(owner, conv)), cast("nn.BatchNorm2d", getattr(owner, norm)))
    setattr(owner, conv, fused)
    setattr(owner, norm, nn.Identity())


class Arniqa(nn.Module):
    """The published score: full and half scale, five crops each, a linear regressor, scaled to 0 to 1."""

    def __init__(self, encoder: Encoder, weight: Tensor, bias: Tensor, low: float, high: float, invert: bool) -> None:
        """`low` and `high` are the opinion scores of the regressor's data set; `invert` where high scores are bad."""
        super().__init__()
        self.encoder = encoder
        self.weight = nn.Parameter(weight.reshape(1, -1).float(), requires_grad=False)
        self.bias = nn.Parameter(bias.reshape(1).float(), requires_grad=False)
        self.low, self.high, self.invert = low, high, invert

    def forward(self, full: Tensor, half: Tensor) -> Tensor:
        """Two views [B, 5, 3, 224, 224] to the mean quality of the crops, [B, 1]."""
        count, crops = full.shape[:2]
        scales = self.encoder(torch.cat([full.flatten(0, 1), half.flatten(0, 1)])).chunk(2)
        scores = F.linear(torch.cat(scales, dim=1), self.weight, self.bias)
        scaled = (scores - self.low) * (1.0 / (self.high - self.low))
        return (1.0 - scaled if self.invert else scaled).reshape(count, crops).mean(1, keepdim=True)
