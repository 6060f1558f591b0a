"""SmilingWolf's wd-v3 taggers: Danbooru tags, characters and a rating."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from ..core.errors import CorruptWeights, WrongWeights, one_line
from ..core.pictures.preprocess import has_alpha
from ..core.prediction import Floats, Labels, argmax_label, no_name
from ..core.spec import Build, ModelSpec, Network
from ..core.weights.weight_file import WeightFile
from .tag_files import read_selected_tags

if TYPE_CHECKING:
    from torch import Tensor

LICENCE = "Apache-2.0"
RATING = "rating"
TAG_BYTES = 308_468
"""The size of selected_tags.csv, the same list in all five repositories."""
ARGUMENTS = frozenset(
    ("img_size", "patch_size", "class_token", "global_pool", "fc_norm", "act_layer", "ref_feat_shape", "window_size")
)
"""What a config.json may ask of timm: nothing that names an address or a file."""

HELP = """Ratings are general, sensitive, questionable and explicit; the label is the one with the largest value.
The weights are looked up in a folder of their own, as wd-vit-tagger-v3/model.safetensors, with selected_tags.csv.
Limits: at the thresholds on the cards, about 0.26, and 0.53 for wd:eva02-large, precision equals recall, so wrong tags
are as frequent as missed ones. Only the 10,861 Danbooru tags of its list are known."""


@dataclass(frozen=True)
class Design:
    """What timm needs to build a tagger, as its config.json says."""

    architecture: str
    arguments: Mapping[str, Any] = field(default_factory=dict[str, Any])
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    size: int = 448


VIT = {"img_size": 448, "class_token": False, "global_pool": "avg", "fc_norm": False, "act_layer": "gelu_tanh"}
DESIGNS = {
    "vit": (Design("vit_base_patch16_224", VIT), 104.0),
    "swinv2": (Design("swinv2_base_window8_256", {"img_size": 448, "window_size": 14}), 100.0),
    "convnext": (Design("convnext_base"), 122.0),
    "vit-large": (Design("vit_large_patch16_224", VIT), 372.0),
    "eva02-large": (Design("eva02_large_patch14_448", {"img_size": 448, "ref_feat_shape": (32, 32)}), 620.0),
}
"""By variant: what its config.json says, for when only the weights are there, and GFLOP per image."""


@dataclass(frozen=True)
class WdView:
    """Composited on white, padded with white to a square, scaled to `size` by BICUBIC, normalised, blue before red."""

    size: int
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __call__(self, image: Image.Image) -> Tensor:
        import torch

        square = _square(_over_white(image))
        if square.size != (self.size, self.size):
            square = square.resize((self.size, self.size), Image.Resampling.BICUBIC)
        values = np.asarray(square).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
        mean, std = (np.asarray(each, dtype=np.float32).reshape(3, 1, 1) for each in (self.mean, self.std))
        return torch.from_numpy(np.ascontiguousarray(((values - mean) / std)[::-1]))


def _over_white(image: Image.Image) -> Image.Image:
    if not has_alpha(image):
        return image.convert("RGB")
    canvas = Image.new("RGBA", image.size, (255, 255, 255))
    canvas.alpha_composite(image.convert("RGBA"))
    return canvas.convert("RGB")


def _square(image: Image.Image) -> Image.Image:
    """Centred on a white square; an odd margin is one pixel wider at the right and at the bottom."""
    width, height = image.size
    if width == height:
        return image
    side = max(image.size)
    canvas = Image.new("RGB", (side, side), (255, 255, 255))
    canvas.paste(image, ((side - width) // 2, (side - height) // 2))
    return canvas


def build(request: Build, file: WeightFile, tags: WeightFile, design: Design) -> Network:
    """The net of one of the files. Raises what the weight readers raise, and WrongWeights."""
    import timm

    from ..core.weights.assign import assign
    from .nets.uninitialised import build_uninitialised
    from .nets.wd import WdNet

    tensors, path = request.tensors(file), request.path(file)
    config = path.with_name("config.json")
    design = read_design(config) if config.is_file() else design
    count = _head_width(tensors, path)
    names, groups = read_selected_tags(request.path(tags), "wd", count)
    net = build_uninitialised(
        lambda: timm.create_model(design.architecture, pretrained=False, num_classes=count, **design.arguments)
    )
    # Always in float32: nobody has measured how far bfloat16 moves these five nets.
    assign(net, tensors, path=path, model="wd")
    labels = Labels(names, groups)
    return Network(
        WdNet(net),
        labels=labels,
        views=(WdView(design.size, design.mean, design.std),),
        name=_best_rating(labels),
        batch=4,
    )


def read_design(path: Path) -> Design:
    """The design that a config.json in timm's format describes. Raises CorruptWeights."""
    try:
        config = json.loads(path.read_text("utf-8"))
        given = config["pretrained_cfg"]
        arguments = {
            str(key): tuple(v) if isinstance(v, list) else v for key, v in config.get("model_args", {}).items()
        }
        design = Design(
            str(config["architecture"]),
            arguments,
            mean=tuple(map(float, given["mean"])),
            std=tuple(map(float, given["std"])),
            size=int(given["input_size"][-1]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptWeights(f"{path} is no config.json of a timm model ({type(error).__name__}: {error}).") from error
    unknown = arguments.keys() - ARGUMENTS
    if unknown or not re.fullmatch(r"[a-z0-9_]+", design.architecture) or not 16 <= design.size <= 2048:
        what = f"the arguments {', '.join(map(one_line, sorted(unknown)))}" if unknown else "an unknown net"
        raise CorruptWeights(f"{path} asks for {what}, which no tagger here has.")
    return design


def _head_width(tensors: Mapping[str, Tensor], path: Path) -> int:
    for name in ("head.bias", "head.fc.bias"):
        if name in tensors:
            return tensors[name].shape[0]
    raise WrongWeights(path, "wd", missing=["head.bias"])


def _best_rating(labels: Labels) -> Callable[[Floats], tuple[str, float]]:
    members = labels.members(RATING)
    return (lambda values: argmax_label(labels, values, members)) if members else no_name


def _spec(variant: str, model: str) -> ModelSpec:
    design, cost = DESIGNS[variant]
    repo = f"SmilingWolf/wd-{variant}-tagger-v3"
    folder = repo.partition("/")[2]
    weights, tags, config = (
        WeightFile(name, repo=repo, size=size, licence=LICENCE, folder=folder, optional=name == "config.json")
        for name, size in (("model.safetensors", 0), ("selected_tags.csv", TAG_BYTES), ("config.json", 0))
    )
    return ModelSpec(
        id=model,
        title=f"wd-v3 tagger ({variant})",
        summary="Tags anime art with 10,861 Danbooru tags: general ones, characters, and one of four ratings.",
        source=f"https://huggingface.co/{repo}",
        licence=LICENCE,
        build=lambda request: build(request, weights, tags, design),
        weights=(weights, tags, config),
        cost=cost,
        # Characters are easier to confuse than other tags: the author's own demo demands 0.85 for them.
        tags={"": 0.53 if variant == "eva02-large" else 0.26, "character": 0.85},
        help=HELP,
    )


def _main() -> ModelSpec:
    from dataclasses import replace

    return replace(_spec("vit", "wd"), variants=tuple(_spec(variant, f"wd:{variant}") for variant in DESIGNS))


SPEC = _main()
