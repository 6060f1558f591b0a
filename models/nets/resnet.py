"""torchvision's residual nets at any width, with the numbered children that fastai and others save."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1


def numbered_resnet(
    blocks: Sequence[int], *, width: int = 64, block: type[BasicBlock | Bottleneck] = BasicBlock
) -> nn.Sequential:
    """The children of torchvision's ResNet without pooling and classifier: 0 convolution, 1 norm, …, 4 to 7 the stages.

    `blocks` counts the blocks of each stage ([3, 4, 6, 3] for ResNet-34); `width` is the first stage's, usually 64.
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


def fold_batch_norms(body: nn.Sequential) -> None:
    """Fold the norm after each convolution into it, for a net in evaluation mode: fewer passes over memory.

    The values change in the last bits of float32 only.
    """
    _fold_neighbours(body)
    for stage in list(body)[4:]:
        for block in stage.children():
            _fold_block(block)


def _fold_block(block: nn.Module) -> None:
    for number in (1, 2, 3):
        convolution, norm = getattr(block, f"conv{number}", None), getattr(block, f"bn{number}", None)
        if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(block, f"conv{number}", fuse_conv_bn_eval(convolution, norm))
            setattr(block, f"bn{number}", nn.Identity())
    shortcut = getattr(block, "downsample", None)
    if isinstance(shortcut, nn.Sequential):
        _fold_neighbours(shortcut)


def _fold_neighbours(layers: nn.Sequential) -> None:
    """Fold the first two layers of a sequence, a convolution and its norm."""
    convolution, norm = layers[0], layers[1]
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    layers[0], layers[1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
