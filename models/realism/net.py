"""The nets of realism detectors: a ResNet, the study's small net, and a linear probe; the first two have heatmaps."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...core.errors import NotExplainable
from ...core.heatmaps.grad_cam import (
    grad_cam,
    head_gradient,
    linear_cam,
    linear_gradient,
    noise_like,
    smooth_grad_cam_pp,
)
from ...core.heatmaps.heatmap import Method
from ..nets.resnet import numbered_resnet


class ResNetDetector(nn.Module):
    """torchvision's ResNet: a residual body, mean pooling, one linear layer. [B, 3, H, W] to logits [B, classes].

    Blocks [2, 2, 2, 2] and width 64 are ResNet-18. Weights start as torchvision starts them.
    """

    def __init__(self, classes: int, *, blocks: Sequence[int] = (2, 2, 2, 2), width: int = 64) -> None:
        super().__init__()
        self.body = numbered_resnet(blocks, width=width)
        self.fc = nn.Linear(width << (len(blocks) - 1), classes)
        for module in self.body.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, pixels: Tensor) -> Tensor:
        return self.fc(self.features(pixels))

    def features(self, pixels: Tensor) -> Tensor:
        """[B, F]: what the linear layer reads."""
        return self.body(pixels.contiguous(memory_format=torch.channels_last)).mean((2, 3)).float()

    def head(self, maps: Tensor) -> Tensor:
        """The logits of feature maps [B, F, h, w]."""
        return self.fc(maps.mean((2, 3)).float())

    @property
    def linear(self) -> Tensor:
        """[classes, F]: with it, heatmaps need no autograd."""
        return self.fc.weight


class BasicDetector(nn.Module):
    """The study's small convolutional net. [B, 3, size, size] to logits [B, outputs].

    Quirk of the original: ten outputs, whatever the number of classes; training only ever makes those beyond the
    classes small. The first dense layer reads 16 maps of 53 x 53 (224 pixels) or 59 x 59 (250 pixels) values.
    """

    linear = None

    def __init__(self, outputs: int = 10, *, size: int = 224) -> None:
        super().__init__()
        side = ((size - 4) // 2 - 4) // 2
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.head(self.body(pixels))

    def body(self, pixels: Tensor) -> Tensor:
        """The feature maps [B, 16, h, w] that the dense layers read."""
        maps = F.max_pool2d(F.relu(self.conv1(pixels)), 2)
        return F.max_pool2d(F.relu(self.conv2(maps)), 2)

    def head(self, maps: Tensor) -> Tensor:
        """The logits of feature maps."""
        return self.fc3(self._hidden(maps))

    def features(self, pixels: Tensor) -> Tensor:
        """[B, 84]: what the last layer reads."""
        return self._hidden(self.body(pixels))

    def _hidden(self, maps: Tensor) -> Tensor:
        # The original flattens channel by channel, whatever the memory format.
        return F.relu(self.fc2(F.relu(self.fc1(maps.contiguous().flatten(1)))))


class Probe(nn.Module):
    """One linear layer over the features of a frozen backbone. Views to logits [B, classes].

    The backbone's parameters are not among this module's: it is shared, and its weights have files of their own.
    """

    linear = None

    def __init__(self, features: Callable[..., Tensor], width: int, classes: int) -> None:
        super().__init__()
        self._base = (features,)  # in a tuple, where torch does not register a module as a child
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.fc = nn.Linear(width, classes)

    def forward(self, *views: Tensor) -> Tensor:
        return self.head(self.features(*views))

    def features(self, *views: Tensor) -> Tensor:
        """[B, width]: the backbone's features, unscaled."""
        return self._base[0](*views).float()

    def head(self, features: Tensor) -> Tensor:
        """The logits of features [B, width]; each feature is standardised to mean 0 and spread 1 as in training."""
        return self.fc((features - self.mean) * self.scale)


class Detector(nn.Module):
    """What a classifier calls: views [B, ...] to the probabilities [B, classes] of the named classes, and heatmaps."""

    def __init__(self, net: ResNetDetector | BasicDetector | Probe, classes: int) -> None:
        super().__init__()
        self.net = net
        self.classes = classes
        self.low = torch.float32

    def forward(self, *views: Tensor) -> Tensor:
        return self._probabilities(self.net(*self._lowered(views)))

    def features(self, *views: Tensor) -> Tensor:
        """What the last layer reads, [B, F]."""
        return self.net.features(*self._lowered(views))

    def heatmap(self, *views: Tensor, targets: Tensor | None, method: Method) -> tuple[Tensor, Tensor, Tensor]:
        """As `Explainable` in core/heatmaps. A residual net's map costs one weighted sum beside the forward pass."""
        net = self.net
        if isinstance(net, Probe):
            raise NotExplainable("A linear probe has no heatmap: the features it reads have no place in the picture.")
        (pixels,) = self._lowered(views)
        maps = self._body(pixels)
        values = self._probabilities(net.head(maps))
        chosen = values.argmax(1) if targets is None else targets
        if method == "smooth":
            return values, chosen, self._smooth(pixels, maps, chosen)
        if net.linear is not None:
            return values, chosen, linear_cam(maps, net.linear, chosen)
        return values, chosen, grad_cam(maps, net.head, chosen)

    def _smooth(self, pixels: Tensor, maps: Tensor, chosen: Tensor) -> Tensor:
        net, noise = self.net, noise_like(pixels[:1])
        assert not isinstance(net, Probe)
        weight = net.linear
        if weight is not None:
            gradient = lambda found, targets: linear_gradient(found, weight, targets)  # noqa: E731
        else:
            gradient = lambda found, targets: head_gradient(found, net.head, targets)  # noqa: E731
        return smooth_grad_cam_pp(self._body, gradient, pixels, maps, chosen, noise=noise, constant=weight is not None)

    def _body(self, pixels: Tensor) -> Tensor:
        return self.net.body(pixels.to(self.low)).float()  # pyright: ignore[reportCallIssue]  no Probe comes here

    def _lowered(self, views: Sequence[Tensor]) -> list[Tensor]:
        return [view.to(self.low) for view in views]

    def _probabilities(self, logits: Tensor) -> Tensor:
        return logits[:, : self.classes].float().softmax(1)

    def in_low_precision(self) -> Detector:
        """Convolutions in bfloat16, the linear layer in float32; other nets stay as they are."""
        if isinstance(self.net, ResNetDetector):
            self.low = torch.bfloat16
            self.net.body.to(torch.bfloat16)
        return self


def from_torchvision(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of torchvision's (or timm's) ResNet without its last layer, under the names of `ResNetDetector`."""
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        first, _, rest = name.partition(".")
        if first in numbers:
            found[f"body.{numbers[first]}.{rest}"] = tensor
    return found
