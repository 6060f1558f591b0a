"""ARNIQA: the technical quality of a picture, judged by its damage (miccunifi/ARNIQA)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from PIL import Image

from ..core.errors import WrongWeights
from ..core.pictures.preprocess import IMAGENET_MEAN, IMAGENET_STD
from ..core.prediction import Labels, Range, no_name
from ..core.spec import Build, ModelSpec, Network
from ..core.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from torch import Tensor

    from .nets.arniqa import Encoder

URL = "https://github.com/miccunifi/ARNIQA/releases/download/weights/"
LICENCE = "Apache-2.0 (ARNIQA; CC BY-NC 4.0 until February 2025)"
LABELS = Labels(("quality",), ranges=(Range(0.0, 1.0, "score"),), drifts=(("", 0.04),))
CROP = 224

ENCODER = WeightFile(name="ARNIQA.pth", url=URL + "ARNIQA.pth", licence=LICENCE, folder="arniqa")


class Opinions(NamedTuple):
    """The data set a regressor was fitted to: the range of its opinion scores, and whether high scores are bad."""

    low: float
    high: float
    damage: bool = False


DATA_SETS = {
    "kadid10k": Opinions(1, 5),
    "live": Opinions(1, 100, damage=True),
    "csiq": Opinions(0, 1, damage=True),
    "tid2013": Opinions(0, 9),
    "flive": Opinions(1, 100),
    "spaq": Opinions(1, 100),
    "clive": Opinions(1, 100),
    "koniq10k": Opinions(1, 100),
}
"""The first is the original's default."""


def regressor_file(data_set: str) -> WeightFile:
    """The published regressor: a TorchScript archive, read without running it."""
    name = f"regressor_{data_set}.pth"
    return WeightFile(name=name, url=URL + name, licence=LICENCE, folder="arniqa")


@dataclass(frozen=True)
class CropsView:
    """Centre and corners, 224 pixels square, ImageNet-normalised: [5, 3, 224, 224]. Black beyond the edges."""

    halve: bool = False

    def __call__(self, image: Image.Image) -> Tensor:
        import torch

        picture = image.convert("RGB")
        if self.halve:
            # A side of one pixel stays; the original fails there.
            half = (max(1, picture.width // 2), max(1, picture.height // 2))
            picture = picture.resize(half, Image.Resampling.BILINEAR)
        crops = [np.asarray(picture.crop((x, y, x + CROP, y + CROP))) for x, y in _corners(*picture.size)]
        pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float() / 255
        mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
        return ((pixels - mean) / std).contiguous()


def _corners(width: int, height: int) -> tuple[tuple[int, int], ...]:
    right, bottom = width - CROP, height - CROP
    return (width // 2 - CROP // 2, height // 2 - CROP // 2), (0, 0), (0, bottom), (right, 0), (right, bottom)


def build(given: Build, data_set: str = "kadid10k") -> Network:
    """The published score for one data set, its encoder shared with FARAMIR. Raises what the weight readers raise."""
    from .nets.arniqa import Arniqa

    opinions = DATA_SETS[data_set]
    damage = encoder(given)
    weight, bias = _regressor(given, regressor_file(data_set), damage)
    return Network(
        module=Arniqa(damage, weight, bias, opinions.low, opinions.high, opinions.damage),
        labels=LABELS,
        views=(CropsView(), CropsView(halve=True)),
        name=no_name,
        tolerance=1.0 if given.precision == "fast" else 0.0,
        batch=4 if given.device.type == "cpu" else 0,
    )


def encoder(given: Build) -> Encoder:
    """The encoder with its projector, one for all models that use it. Raises WrongWeights."""
    key = f"arniqa {given.path(ENCODER)} {given.precision} {given.device}"
    return cast("Encoder", given.shared(key, lambda: load_encoder(given)))


def load_encoder(given: Build) -> Encoder:
    """Build the encoder from its file, with normalisation folded in and convolutions in channels-last order."""
    import torch

    from ..core.weights.assign import assign, build_on_meta
    from .nets.arniqa import Encoder

    tensors = given.tensors(ENCODER)
    first, last = tensors.get("model.0.weight"), tensors.get("projector.2.weight")
    width = 64 if first is None else first.shape[0]
    net = build_on_meta(lambda: Encoder(width=width, projected=128 if last is None else last.shape[0]))
    assign(net, tensors, path=given.path(ENCODER), model="arniqa")
    net.fold()
    for value in net.projector.parameters():
        value.data = value.data.clone()  # else all pages of the file would stay in memory beside the folded weights
    if given.precision == "fast":
        net.model.to(torch.bfloat16)
    net.model.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub lacks this overload
    return net


def _regressor(given: Build, file: WeightFile, damage: Encoder) -> tuple[Tensor, Tensor]:
    tensors = given.tensors(file)
    if missing := {"weights", "biases"} - set(tensors):
        raise WrongWeights(given.path(file), "arniqa", missing=missing)
    weight, bias = tensors["weights"], tensors["biases"]
    features = 2 * damage.projector[0].in_features  # pyright: ignore[reportOperatorIssue]  a linear layer's number
    if weight.numel() != features or bias.numel() != 1:
        detail = f"it weighs {weight.numel()} features where the encoder gives {features}"
        raise WrongWeights(given.path(file), "arniqa", detail=detail)
    return weight, bias


def _spec(data_set: str, model: str) -> ModelSpec:
    return ModelSpec(
        id=model,
        title=f"ARNIQA ({data_set})",
        summary="How little a picture is damaged by blur, noise or compression, 0 to 1; its content plays no part.",
        source="https://github.com/miccunifi/ARNIQA",
        licence="Apache-2.0",
        weights=(ENCODER, regressor_file(data_set)),
        cost=81.8,
        gate="accept: arniqa.quality >= 0.5".replace("arniqa", model),
        labels=lambda: LABELS,
        build=partial(build, data_set=data_set),
        help=(
            "The mean over five crops (centre and corners) at full and half scale, by a regressor fitted to "
            f"{data_set}'s opinion scores. Variants with the other published regressors: "
            f"{', '.join(f'arniqa:{name}' for name in DATA_SETS)}.\n"
            "Limits: it sees five crops of 224 pixels, not the whole of a large image, and knows nothing of content. "
            "Nothing limits scores to 0 to 1."
        ),
    )


SPEC = replace(
    _spec("kadid10k", "arniqa"), variants=tuple(_spec(data_set, f"arniqa:{data_set}") for data_set in DATA_SETS)
)
