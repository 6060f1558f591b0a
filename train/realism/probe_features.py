"""Features of pictures from a frozen backbone, on which a probe is trained."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from ...core.spec import Build, Precision
from ...models.realism.probe import Base, backbone, base_files
from ...models.registry import REGISTRY

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL.Image import Image

    from ...core.weights.store import WeightStore


@dataclass(frozen=True)
class FeatureReader:
    """A loaded backbone."""

    base: Base
    width: int
    device: torch.device
    batch: int

    def features(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """[B, width]"""
        prepared = [[view(image) for view in self.base.views] for image in images]
        with torch.inference_mode():
            views = [torch.stack(view).to(self.device) for view in zip(*prepared, strict=True)]
            return self.base.features(*views).float().cpu().numpy()


def feature_reader(base: str, store: WeightStore, device: str, precision: Precision = "exact") -> FeatureReader:
    """Loads a backbone, by default exact, as the detector will later use it. Raises MissingWeights and its siblings."""
    for file in base_files(base, REGISTRY.spec):
        if not file.optional:
            store.path(file, model=base)
    target = torch.device(device)
    given = Build.over(store, base, precision, target)
    with torch.inference_mode(False), torch.no_grad():
        found = backbone(base, given, REGISTRY.spec)
        for part in found.parts:
            part.eval().to(target)
        blank = [view(_blank()) for view in found.views]
        width = int(found.features(*(view[None].to(target) for view in blank)).shape[1])
    return FeatureReader(found, width, target, batch=8 if target.type == "cpu" else 32)


def _blank() -> Image:
    from PIL import Image

    return Image.new("RGB", (64, 64))
