"""The furry-image-model: a small convolutional tower, and a few dense layers for each group of tags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ACTIVATIONS = {
    "linear": nn.Identity,
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "softmax": partial(nn.Softmax, dim=-1),
    "swish": nn.SiLU,
    "silu": nn.SiLU,
    "gelu": nn.GELU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "softplus": nn.Softplus,
    "leaky_relu": partial(nn.LeakyReLU, negative_slope=0.2),
}
"""By Keras' names. Keras' leaky_relu has another slope than torch's."""


class Dense(nn.Module):
    """A linear layer with its activation, in float32."""

    def __init__(self, weight: Tensor, bias: Tensor, activation: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight.float(), requires_grad=False)
        self.bias = nn.Parameter(bias.float(), requires_grad=False)
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        """[B, in] to [B, out]."""
        return self.activation(F.linear(x, self.weight, self.bias))


class FurryNet(nn.Module):
    """A tower with heads; forward gives the outputs of all heads side by side, in the file's order."""

    def __init__(self, tower: nn.Module, heads: Mapping[str, Sequence[Dense]], mean: float, std: float) -> None:
        """`mean` and `std` are those that the view normalises pixels with."""
        super().__init__()
        self.tower = tower
        self.heads = nn.ModuleList(nn.Sequential(*layers) for layers in heads.values())
        self.mean, self.std = mean, std

    def features(self, x: Tensor) -> Tensor:
        """[B, 3, N, N] to [B, F], float32: the features of the pixels without normalisation.

        The original's `image_latent_vector` leaves normalisation out, even for models trained with it.
        """
        return self._tower(x * self.std + self.mean)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 3, N, N] to [B, labels], the outputs of the last activations."""
        features = self._tower(x)
        return torch.cat([head(features) for head in self.heads], dim=1)

    def _tower(self, x: Tensor) -> Tensor:
        dtype = next(self.tower.parameters()).dtype
        return self.tower(x.to(dtype, memory_format=torch.channels_last)).float()
