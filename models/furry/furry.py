"""ZenithO-o's furry-image-model: 228 tags in five groups and a rating, from a file that `keepers convert` made."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ...core.errors import CorruptWeights, DownloadFailed, MissingWeights, WrongWeights
from ...core.prediction import Floats, Labels, no_name
from ...core.spec import Build, LookUp, ModelSpec, Network
from ...core.weights.weight_file import WeightFile
from .format import RATING, Layout, read_layout
from .labels import built_in_labels, make_labels

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.weights.store import WeightStore
    from .net import Dense

SOURCE = "https://github.com/ZenithO-o/furry-image-model"
LICENCE = "MIT"

HELP = """`keepers fetch furry` gets a published zip from Google Drive and converts it, without TensorFlow. Where Drive
asks a person first, download the zip in a browser and run: keepers convert furry efficientnet_v2_m_384_3.zip
Plain `furry` takes the first of these that is there: efficientnet_v2_m_384_3, convnext_tiny_224_5,
efficientnet_v2_b3_300_2c, mobilenet_v3_224_2c (by the F1 scores their author gives). A tag counts from 0.5.
`furry.rating` is one number from 0 (safe) to 1 (explicit); the label is safe below 1/3, explicit from 2/3, and
questionable between, unless the file was converted with other cuts.
The variants that end in -raw leave normalisation out, the one that ends in -norm applies it.
Limits: 228 tags are all it knows. The author's table says that three models were trained on normalised pixels; whether
the published efficientnet_v2_b3_300_2c was cannot be known."""


class Published(NamedTuple):
    """One of the author's models."""

    name: str
    drive: str
    """Its id on Google Drive."""
    backbone: str
    """timm's name for its tower, by the number of parameters: the model called v2_m has the tower v2_s."""
    size: int
    """Pixels."""
    cost: float
    """GFLOP."""
    normalised: bool = True
    """What the author's table says about its input."""


PUBLISHED = (
    Published("efficientnet_v2_m_384_3", "1UT_nZkGEeE7TmvaMIYt1UyTdpWW1NhIY", "tf_efficientnetv2_s", 384, 16.8),
    Published("convnext_tiny_224_5", "1VIhh0yfhJuXXTFo_0XPnOeQp5ePqnjDW", "convnext_tiny", 224, 9.0),
    Published("efficientnet_v2_b3_300_2c", "1n-qEMXU86G8A_UEpZ9_CmAPWdBkMO_zY", "tf_efficientnetv2_b3", 300, 6.0),
    Published("mobilenet_v3_224_2c", "1fh2VrLo-bKgGHIkLEQecwUltsuI0W0Tm", "tf_mobilenetv3_small_100", 224, 0.1, False),
)


def build(request: Build, file: WeightFile, raw: bool | None = None) -> Network:
    """The net of a converted file, which its metadata describes. `raw` overrides whether pixels are normalised.

    Raises what the weight readers raise, and WrongWeights.
    """
    import torch

    from ...core.weights.assign import Renamed, assign, build_on_meta
    from .net import FurryNet
    from .towers import make_tower
    from .view import SquashView

    tensors, path = request.tensors(file), request.path(file)
    layout = read_layout(request.metadata(file), path)
    own = Renamed(tensors, lambda name: name.removeprefix("tower.") if name.startswith("tower.") else None)
    # Always in float32: these nets are small, and bfloat16 can move an EfficientNet's values by half the scale.
    tower = assign(build_on_meta(lambda: make_tower(layout.backbone)), own, path=path, model="furry")
    heads = _heads(layout, tensors, path)
    mean, std = layout.scaling(raw)
    net = FurryNet(tower.to(memory_format=torch.channels_last), heads, mean, std)
    labels = make_labels(layout.tags)
    return Network(
        net,
        labels=labels,
        views=(SquashView(layout.size, mean, std),),
        name=_rating_of(labels, layout.cuts),
        batch=8,
    )


def _heads(layout: Layout, tensors: Mapping[str, Tensor], path: Path) -> dict[str, list[Dense]]:
    """The dense layers of each output; every tensor outside the tower must belong to one."""
    from .net import Dense

    names = {
        f"heads.{group}.{index}.{part}"
        for group, layers in layout.activations.items()
        for index in range(len(layers))
        for part in ("weight", "bias")
    }
    found = {key for key in tensors if not key.startswith("tower.")}
    if names != found:
        raise WrongWeights(path, "furry", missing=names - found, unexpected=found - names)
    heads = {
        group: [
            Dense(tensors[f"heads.{group}.{i}.weight"], tensors[f"heads.{group}.{i}.bias"], activation)
            for i, activation in enumerate(activations)
        ]
        for group, activations in layout.activations.items()
    }
    for group, layers in heads.items():
        if not layers or layers[-1].bias.shape[0] != len(layout.tags[group]):
            raise CorruptWeights(f"{path}: the output {group!r} does not have as many values as tags.")
    return heads


def _rating_of(labels: Labels, cuts: tuple[float, float]) -> Callable[[Floats], tuple[str, float]]:
    """safe, questionable or explicit, by the rating alone."""
    if RATING not in labels:
        return no_name
    index = labels.index(RATING)

    def name(values: Floats) -> tuple[str, float]:
        value = float(values[index])
        if np.isnan(value):
            return "", 0.0
        word = "explicit" if value >= cuts[1] else "questionable" if value >= cuts[0] else "safe"
        return word, min(abs(value - cut) for cut in cuts)

    return name


def _spec(model: str, title: str, file: WeightFile, cost: float, raw: bool | None = None) -> ModelSpec:
    return ModelSpec(
        id=model,
        title=title,
        summary="Tags furry art with 228 tags of identity, species, body, clothing and action, and rates its safety.",
        source=SOURCE,
        licence=LICENCE,
        build=lambda request: build(request, file, raw),
        weights=(file,),
        cost=cost,
        labels=built_in_labels,
        tags={"": 0.5},
        help=HELP,
    )


def file_name(source: str) -> str:
    """The file name of a converted model, from the name of its zip or folder."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", source).strip("_") or "model"
    return f"furry_{plain}.safetensors"


def name_of(layout: Layout) -> str:
    """The name of a converted model: the published one if tower and size are, whatever the zip was called."""
    fitting = [one.name for one in PUBLISHED if (one.backbone, one.size) == (layout.backbone, layout.size)]
    return fitting[0] if fitting and layout.source not in [one.name for one in PUBLISHED] else layout.source


def address(drive: str) -> str:
    """Where Google Drive offers a published zip, or a page that asks first."""
    return f"https://drive.google.com/uc?export=download&id={drive}"


def converted(name: str, drive: str) -> WeightFile:
    """The file that converting a published zip makes; it cannot be downloaded."""
    page = f"{address(drive)} (a zip, made ready with: keepers convert furry ZIP)"
    return WeightFile(file_name(name), page=page, licence=LICENCE)


def obtain(store: WeightStore, one: Published = PUBLISHED[0]) -> Path:
    """A converted model, from its zip in the model folder or, where Google Drive allows it, from a download.

    Raises DownloadFailed, which says which link to open and where to put the zip, and what `convert` raises.
    """
    from .convert import convert

    archive = WeightFile(f"{one.name}.zip", url=address(one.drive), page=address(one.drive), licence=LICENCE)
    target = store.target(converted(one.name, one.drive))
    try:
        zipped = store.path(archive, model=f"furry:{one.name}")
    except (DownloadFailed, MissingWeights, CorruptWeights) as error:
        raise DownloadFailed(
            f"{error} Google Drive often asks a person first: open {address(one.drive)} in a browser, save the file as "
            f"{store.target(archive)}, and run the same command again."
        ) from error
    return convert(zipped, target).path


def find(store: WeightStore, look_up: LookUp) -> Iterable[ModelSpec]:  # noqa: ARG001 (the contract of every model)
    """The converted models in the model folders that are not the published ones."""
    known = {file_name(one.name) for one in PUBLISHED}
    found = sorted({path.name for folder in store.folders for path in folder.glob("furry_*.safetensors")} - known)
    for name in found:
        title = name.removeprefix("furry_").removesuffix(".safetensors")
        if re.fullmatch(r"[A-Za-z0-9_-]+", title):
            file = WeightFile(name, page="keepers convert furry ZIP", licence=LICENCE)
            yield replace(_spec(f"furry:{title}", f"furry-image-model {title}", file, 20.0), labels=None)


def _variants() -> Iterable[ModelSpec]:
    for one in PUBLISHED:
        file = converted(one.name, one.drive)
        spec = _spec(f"furry:{one.name}", f"furry-image-model {one.name}", file, one.cost)
        yield replace(spec, obtain=partial(obtain, one=one))
        other = "raw" if one.normalised else "norm"
        title = f"furry-image-model {one.name}, pixels {'not ' if one.normalised else ''}normalised"
        raw = _spec(f"furry:{one.name}-{other}", title, file, one.cost, raw=one.normalised)
        yield replace(raw, obtain=partial(obtain, one=one))


def _main() -> ModelSpec:
    first, *others = (converted(one.name, one.drive) for one in PUBLISHED)
    spec = _spec("furry", "furry-image-model", replace(first, alternatives=tuple(others)), PUBLISHED[0].cost)
    return replace(spec, variants=tuple(_variants()), find=find, obtain=obtain)


SPEC = _main()
