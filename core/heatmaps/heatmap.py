"""Where in a picture a net found its answer.

    heatmaps(classifier, images)                    -> list[Heatmap], for each picture's own answer
    heatmaps(classifier, images, label="ai")        -> for one label
    heatmaps(classifier, images, method="smooth")   -> SmoothGradCAM++, as the realism study used it
    found.over(width, height)                       -> float32 [height, width] in [0, 1], for the whole picture
    overlay(image, found, strength=0.5)             -> an RGB picture of the same size
    coloured(values)                                -> uint8 [H, W, 3] from numbers in [0, 1]

This works for every classifier whose module offers `heatmap` (see `Explainable`); `can_explain` says whether it does.
It also works inside a host's inference_mode. The arithmetic of the methods is in `grad_cam.py`.
"""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# torch leaves parts of its interface untyped.
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

import numpy as np
from PIL import Image

from ..errors import NotExplainable
from ..prediction import Floats, Prediction
from .colour_map import TABLE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from ..judging.classifier import Classifier

Method = Literal["grad-cam", "smooth"]
METHODS: tuple[Method, ...] = ("grad-cam", "smooth")


class Region(NamedTuple):
    """A part of a picture, in pixels; it may extend beyond the picture, where the net saw filling."""

    left: float
    top: float
    right: float
    bottom: float


class Explainable(Protocol):
    """What a network's module offers besides its call."""

    def heatmap(self, *views: Tensor, targets: Tensor | None, method: Method) -> tuple[Tensor, Tensor, Tensor]:
        """The values [B, labels] that the call gives, the labels explained [B], and their maps [B, h, w].

        `targets` [B] are positions of labels; None means each picture's answer. Maps are non-negative, of any scale.
        May be called in inference mode. Raises NotExplainable for labels or methods that have no map.
        """
        ...


@dataclass(frozen=True)
class Heatmap:
    """Where a net found evidence for a label."""

    values: Floats
    """[h, w] in [0, 1], at the net's own resolution; all 0 if there is no evidence for the label."""
    label: str
    """The label that the map explains."""
    prediction: Prediction
    """The full answer, from the same run of the net."""
    region: Region
    """The part of the picture that the net saw."""
    size: tuple[int, int]
    """Width and height of the picture."""
    method: Method = "grad-cam"

    def over(self, width: int = 0, height: int = 0) -> Floats:
        """The map stretched over the whole picture, or another size: [height, width], 0 where the net did not see."""
        width, height = width or self.size[0], height or self.size[1]
        across, down = width / self.size[0], height / self.size[1]
        left, top, right, bottom = self.region
        box = (round(left * across), round(top * down), round(right * across), round(bottom * down))
        stretched = self._stretched(max(1, box[2] - box[0]), max(1, box[3] - box[1]))
        canvas = np.zeros((height, width), dtype=np.float32)
        seen = canvas[max(0, box[1]) : max(0, box[3]), max(0, box[0]) : max(0, box[2])]
        y, x = max(0, -box[1]), max(0, -box[0])
        seen[:] = stretched[y : y + seen.shape[0], x : x + seen.shape[1]]
        return canvas

    def _stretched(self, width: int, height: int) -> Floats:
        picture = Image.fromarray(self.values).resize((width, height), Image.Resampling.BICUBIC)
        return np.clip(np.asarray(picture, dtype=np.float32), 0.0, 1.0)

    @property
    def peak(self) -> tuple[int, int]:
        """The picture's pixel (x, y) in the middle of the strongest cell, or the one nearest to that."""
        height, width = self.values.shape
        y, x = divmod(int(np.argmax(self.values)), width)
        left, top, right, bottom = self.region
        across, down = left + (x + 0.5) * (right - left) / width, top + (y + 0.5) * (bottom - top) / height
        return min(max(0, int(across)), self.size[0] - 1), min(max(0, int(down)), self.size[1] - 1)


def can_explain(classifier: Classifier) -> bool:
    """Whether `heatmaps` works for a classifier."""
    return callable(getattr(classifier.network.module, "heatmap", None))


def heatmaps(
    classifier: Classifier, images: Sequence[Image.Image], label: str = "", method: Method = "grad-cam"
) -> list[Heatmap]:
    """One map per picture, in order, from one batch; for `label`, or for each picture's own answer.

    Raises NotExplainable if the model has no heatmaps, UnknownName if it has no such label.
    """
    import torch

    if not can_explain(classifier):
        raise NotExplainable(f"{classifier.spec.id} cannot say where it found its answer: it has no heatmap.")
    if not images:
        return []
    network = classifier.network
    device = classifier.runtime.place(network.parts or (network.module,), classifier.device)
    prepared = [classifier.prepare(image) for image in images]
    views = [torch.stack(view).to(device) for view in zip(*prepared, strict=True)]
    place = network.labels.index(label, classifier.spec.id) if label else -1
    targets = torch.full((len(images),), place, device=device) if label else None
    with torch.inference_mode():
        explain: Explainable = network.module  # pyright: ignore[reportAssignmentType]  checked by can_explain
        values, chosen, maps = explain.heatmap(*views, targets=targets, method=method)
        rows: Floats = values.float().cpu().numpy()
        cells: Floats = scaled(maps).cpu().numpy()
        names = [network.labels.names[int(target)] for target in chosen]
    regions = [region_of(network.views[0], image.size) for image in images]
    return [
        Heatmap(map_, name, classifier.prediction(row), region, image.size, method)
        for map_, name, row, region, image in zip(cells, names, rows, regions, images, strict=True)
    ]


def scaled(maps: Tensor) -> Tensor:
    """Each map of [B, h, w] scaled in float32 so that its smallest value is 0 and its largest 1, as torch-cam does."""
    maps = maps.float()
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    return maps / (maps.amax(dim=(1, 2), keepdim=True) + 1e-8)


def region_of(view: object, size: tuple[int, int]) -> Region:
    """The part of a picture of this size that a view shows: what its `region` says, else all of it."""
    shown = getattr(view, "region", None)
    return Region(*shown(size)) if shown else Region(0, 0, *size)


def coloured(values: Floats) -> NDArray[np.uint8]:
    """Numbers in [0, 1] as colours [..., 3], from dark to light; NaN counts as 0."""
    rows = np.nan_to_num(np.asarray(values), nan=0.0) * 255 + 0.5
    return TABLE[np.clip(rows, 0, 255).astype(np.uint8)]


def overlay(image: Image.Image, found: Heatmap, strength: float = 0.5) -> Image.Image:
    """The picture under its coloured map, in RGB at the same size; parts the net did not see stay unchanged."""
    base = np.asarray(image.convert("RGB"), dtype=np.float32)
    height, width = base.shape[:2]
    colours = coloured(found.over(width, height)).astype(np.float32)
    seen = np.zeros((height, width, 1), dtype=np.float32)
    left, top, right, bottom = (round(end) for end in _within(found, width, height))
    seen[top:bottom, left:right] = strength
    return Image.fromarray((base * (1 - seen) + colours * seen + 0.5).astype(np.uint8))


def _within(found: Heatmap, width: int, height: int) -> Region:
    across, down = width / found.size[0], height / found.size[1]
    left, top, right, bottom = found.region
    return Region(max(0, left * across), max(0, top * down), min(width, right * across), min(height, bottom * down))
