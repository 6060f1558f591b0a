"""The net that a training starts from: ImageNet weights if they are available, random ones otherwise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from ...core.errors import WrongWeights
from ...models.realism.build import make_net
from ...models.realism.net import BasicDetector, ResNetDetector, from_torchvision
from ...models.realism.realism import PRETRAINED
from .recipe import DetectorPreset

if TYPE_CHECKING:
    from torch import nn

    from ...core.weights.store import WeightStore


def fresh_net(
    preset: DetectorPreset, classes: int, seed: int, store: WeightStore
) -> tuple[ResNetDetector | BasicDetector, str]:
    """A net to start from, and a sentence that describes it."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = make_net(preset.shape, classes, preset.window)
    if not preset.pretrained:
        return net, "from scratch"
    path = store.find(PRETRAINED)
    if path is None and store.download:
        path = store.path(PRETRAINED, model="realism")
    if path is None:
        return net, (
            "from scratch: ResNet-18's ImageNet weights are not on this machine (--download gets them). With them, far "
            "fewer images suffice."
        )
    _start_from(net, store, path)
    return net, "from ResNet-18's ImageNet weights"


def _start_from(net: nn.Module, store: WeightStore, path: Path) -> None:
    known = from_torchvision(store.tensors(PRETRAINED, model="realism"))
    wanted = {name: tensor for name, tensor in net.state_dict().items() if name.startswith("body.")}
    missing = [name for name in wanted if name not in known and not name.endswith("num_batches_tracked")]
    if missing or any(known[name].shape != wanted[name].shape for name in known if name in wanted):
        raise WrongWeights(path, "ResNet-18", missing=missing)
    net.load_state_dict(dict(known), strict=False)
