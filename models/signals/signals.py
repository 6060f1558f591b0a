"""The classifier that needs no weights: it finds failed generations by their pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ...core.judging.near_duplicates import DUPLICATE, HASH_GROUP, with_duplicate
from ...core.pictures.phash import FINGERPRINT_WORDS, fingerprint_words
from ...core.pictures.preprocess import has_alpha
from ...core.prediction import PROBABILITY, Floats, Labels, Range
from ...core.spec import Build, ModelSpec, NetlessModel, Network
from .detail import measure_blur, measure_noise
from .levels import measure_clipping, measure_levels
from .lost import measure_lost
from .tiling import EXACT, measure_repetition

if TYPE_CHECKING:
    from torch import Tensor

_LEVELS = Range(0, 255, "levels")
_WORD = Range(0, 65535, "16 bits")
_RANGES = {
    "ok": PROBABILITY,
    "side": Range(1, np.inf, "pixels"),
    "brightest": _LEVELS,
    "darkest": _LEVELS,
    "spread": _LEVELS,
    "noise": Range(0, 1, "whiteness"),
    "blur": Range(0, np.inf, "thousandths of the shorter side"),
    "clipped": Range(0, 1, "share of pixels"),
    "repetition": Range(0, 1, "likeness"),
    "lost": Range(0, 1, "share of pixels"),
    DUPLICATE: Range(0, 1, "likeness"),
    **{f"hash{number}": _WORD for number in range(FINGERPRINT_WORDS)},
}
LABELS = Labels(
    names=tuple(_RANGES),
    groups=tuple(HASH_GROUP if name.startswith("hash") else "signal" for name in _RANGES),
    ranges=tuple(_RANGES.values()),
)

SMALLEST_SIDE = 32
_WORK_SIDE = 256


@dataclass(frozen=True)
class Limit:
    """From which value on a picture has failed in one way."""

    failure: str
    value: str
    """The label of the value that tells it."""
    limit: float
    below: bool = False
    """Smaller values fail; else those from the limit on do."""

    def failed(self, value: float) -> bool:
        """Whether a value shows this failure."""
        return value < self.limit if self.below else value >= self.limit

    def text(self) -> str:
        """When it fails, as "under 16" or "0.7 or more"."""
        return f"under {self.limit:g}" if self.below else f"{self.limit:g} or more"


LIMITS = (
    Limit("tiny", "side", SMALLEST_SIDE, below=True),
    Limit("black", "brightest", 16, below=True),
    Limit("blank", "darkest", 240),
    Limit("solid", "spread", 16, below=True),
    Limit("lost", "lost", 0.001),
    Limit("noise", "noise", 0.7),
    Limit("blur", "blur", 14),
    Limit("clipped", "clipped", 0.5),
    Limit("tiled", "repetition", EXACT),
)
"""All failures that one picture can show, in the order in which they are named."""


def name_failure(values: Floats) -> tuple[str, float]:
    """The first failure of `LIMITS` that the values show, or "ok". The margin is infinite: the values are exact."""
    value = dict(zip(LABELS.names, values.tolist(), strict=True))
    return next((limit.failure for limit in LIMITS if limit.failed(value[limit.value])), "ok"), np.inf


def flatten(image: Image.Image) -> Image.Image:
    """The picture in mode L or RGB, composited on mid grey, so that colours hidden by transparency do not count."""
    if image.mode in ("L", "RGB"):
        return image
    if has_alpha(image):
        coloured = image.convert("RGBA")
        ground = Image.new("RGBA", coloured.size, (128, 128, 128, 255))
        return Image.alpha_composite(ground, coloured).convert("RGB")
    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    return image.convert("L" if image.mode == "1" else "RGB")


@dataclass(frozen=True)
class Measure:
    """The view of this classifier: it measures all values, and the net passes them on."""

    def __call__(self, image: Image.Image) -> Tensor:
        """The values of one image, float32 [len(LABELS)], in the units of `LABELS`."""
        import torch

        return torch.from_numpy(measure(image))


def measure(image: Image.Image) -> Floats:
    """The values of one image in the order of `LABELS`."""
    picture = flatten(image)
    grey = picture if picture.mode == "L" else picture.convert("L")
    side = min(picture.size)
    halved = picture.reduce(2) if side >= 2 else picture
    small, levels = grey.reduce(max(1, side // _WORK_SIDE)), np.asarray(grey)
    values = (
        side,
        *measure_levels(halved),
        measure_noise(grey, halved),
        measure_blur(np.asarray(small)),
        measure_clipping(halved.reduce(2)),
        measure_repetition(levels),
        measure_lost(picture, levels, image.convert("RGBA").getchannel("A") if has_alpha(image) else None),
        0.0,
        *fingerprint_words(small, halved),
    )
    found = np.array([0.0, *values], dtype=np.float32)
    found[0] = name_failure(found)[0] == "ok"
    return found


def build(build: Build) -> Network:  # noqa: ARG001 (the contract of every model)
    """A net that computes nothing: the view has done everything."""
    from torch import nn

    return Network(module=nn.Identity(), labels=LABELS, views=(Measure(),), name=name_failure)


HELP = """\
The label is "ok", or the first of: tiny, black, blank, solid, lost, noise, blur, clipped, tiled, duplicate.
"lost" is a half, three quarters or a tile of one exact value, cut straight through texture.
Transparent parts are seen on mid grey, and are never lost.
"duplicate" means that a better image of the same scan looks the same: a larger one, else a less compressed one, else
one that is not named as an intermediate, else a newer one. Images that come one by one are compared with earlier ones.
Limits: it knows nothing of content: a sharp picture of a hand with seven fingers is ok.
Lost are also an exact black bar over a face, and a picture beside an empty half; bars, frames and pages are not.
An exactly repeated wallpaper is reported as tiled. A smooth gradient is not reported as blurred, nor is a blurred
picture of nothing but a gradient. Grey pictures are never reported as clipped."""

SPEC = ModelSpec(
    id="signals",
    title="Signals",
    summary="Finds failed generations by their pixels: black, noise, lost tiles, blur, tiling, duplicates, and more.",
    source="https://github.com/keepers-project/keepers",
    licence="Apache-2.0",
    build=build,
    cost=0.01,
    gate='accept: signals.ok >= 0.5\nreview: signals.label in ("tiny", "tiled", "duplicate")',
    labels=lambda: LABELS,
    version="4",
    netless=NetlessModel(LABELS, measure, name_failure),
    help=HELP,
    compare=with_duplicate,
)
