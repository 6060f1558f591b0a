"""The net of fastai's `vision_learner(resnet34)`: a residual body, and a head over joined pooling."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from ...core.heatmaps.grad_cam import grad_cam, head_gradient, noise_like, smooth_grad_cam_pp
from ...core.heatmaps.heatmap import Method
from .resnet import numbered_resnet


class ConcatPool(nn.Module):
    """[B, C, H, W] becomes [B, 2C]: the maximum of each channel, then the means, in fastai's order."""

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([features.amax((2, 3)), features.mean((2, 3))], dim=1)


class CoherenceNet(nn.Sequential):
    """Normalised pixels [B, 3, 224, 224] become class probabilities [B, classes]. Body and head are children 0 and 1.

    The head's children have fastai's numbers, which count a Flatten; the pooling here makes that superfluous.
    """

    def __init__(self, *, width: int = 64, hidden: int = 512, classes: int = 3) -> None:
        body = numbered_resnet([3, 4, 6, 3], width=width)
        joined = 16 * width
        head = nn.Sequential(
            ConcatPool(),
            nn.Identity(),
            nn.BatchNorm1d(joined),
            nn.Dropout(0.25),
            nn.Linear(joined, hidden, bias=False),
            nn.ReLU(),
            nn.BatchNorm1d(hidden),
            nn.Dropout(0.5),
            nn.Linear(hidden, classes, bias=False),
        )
        super().__init__(body, head)
        self.low = torch.float32

    @property
    def body(self) -> nn.Sequential:
        """The residual part."""
        return cast(nn.Sequential, self[0])

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  the name that torch gives it
        """Pixels may have any memory format; the convolutions run channels-last, which is faster and as exact."""
        return self[1](self._maps(input)).softmax(dim=1)

    def _maps(self, pixels: Tensor) -> Tensor:
        return self[0](pixels.to(dtype=self.low, memory_format=torch.channels_last)).float()

    def heatmap(self, pixels: Tensor, *, targets: Tensor | None, method: Method) -> tuple[Tensor, Tensor, Tensor]:
        """As `Explainable` in core/heatmaps: Grad-CAM on the body's last maps, through the whole head."""
        maps = self._maps(pixels)
        values = self[1](maps).softmax(dim=1)
        chosen = values.argmax(1) if targets is None else targets
        if method == "smooth":
            gradient = lambda found, wanted: head_gradient(found, self[1], wanted)  # noqa: E731
            noise = noise_like(pixels[:1])
            return values, chosen, smooth_grad_cam_pp(self._maps, gradient, pixels, maps, chosen, noise=noise)
        return values, chosen, grad_cam(maps, self[1], chosen)

    def in_low_precision(self) -> CoherenceNet:
        """Convolutions in bfloat16, the head in float32."""
        self.low = torch.bfloat16
        self[0].to(torch.bfloat16)
        return self
