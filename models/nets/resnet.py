"""Residual nets as torchvision builds them, in the numbered form that fastai and others save, at any width."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1


def numbered_resnet(
    blocks: Sequence[int], *, width: int = 64, block: type[BasicBlock | Bottleneck] = BasicBlock
) -> nn.Sequential:
    """The children of torchvision's ResNet without pooling and classifier: 0 convolution, 1 norm, …, 4 to 7 the stages.

    `blocks` counts the blocks of each stage ([3, 4, 6, 3] for ResNet-34); `width` is the first stage's, 64 as published.
    [B, 3, H, W] becomes [B, 8 * width * block.expansion, H / 32, W / 32].
    """
    inside = width
    stages: list[nn.Module] = []
    for number, count in enumerate(blocks):
        planes = width << number
        stages.append(_stage(block, inside, planes, count, stride=1 if number == 0 else 2))
        inside = planes * block.expansion
    stem = [nn.Conv2d(3, width, 7, 2, 3, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
    return nn.Sequential(*stem, nn.MaxPool2d(3, 2, 1), *stages)


def _stage(block: type[BasicBlock | Bottleneck], inside: int, planes: int, count: int, stride: int) -> nn.Sequential:
    outside = planes * block.expansion
    shortcut = None
    if stride != 1 or inside != outside:
        shortcut = nn.Sequential(conv1x1(inside, outside, stride), nn.BatchNorm2d(outside))
    first = block(inside, planes, stride, shortcut)
    return nn.Sequential(first, *(block(outside, planes) for _ in range(count - 1)))
