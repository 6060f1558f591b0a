"""Realism: detectors that users train on their own images, real against generated, or any classes they name.

After cpondoc/diffusion-model-analysis (Pondoc, O'Brien, Guman: "Seeing Through the Facade", ICML 2023 workshop), which
published no weights: `keepers train realism` makes them. How to use it:

    REGISTRY.spec("realism", store)              the detector trained last; without one, a spec that says how to train
    REGISTRY.spec("realism:flux-vs-photo", store) the one of that name
    spec.labels()                                its classes, as ("real", "ai")
    prediction["ai"]                             its probability; they add up to 1
    core.heatmaps.heatmap.heatmaps(classifier, images)  where it saw that (not for probes)

Trained files are <model folder>/realism/<name>.safetensors and describe themselves (`realism/format.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import KeepersError, MissingWeights
from ...core.prediction import Labels, argmax_label
from ...core.spec import Build, LookUp, ModelSpec, Network
from ...core.weights.weight_file import WeightFile
from ..own_files import own_files
from .format import FORMAT, Description

if TYPE_CHECKING:
    from ...core.weights.store import WeightStore

FOLDER = "realism"
FAST_DRIFT = 0.03
"""How far bfloat16 may move a probability; see benchmarks/drift.py."""

PROBE_DRIFT = 0.1
"""The same for probes, whose last layer scales every bfloat16 feature of the backbone by the feature's spread."""

HOW = "keepers train realism --class real=FOLDER --class ai=FOLDER"

PRETRAINED = WeightFile(
    name="model.safetensors",
    repo="timm/resnet18.tv_in1k",
    licence="BSD-3-Clause",
    folder="resnet18-imagenet",
    optional=True,
    alternatives=(
        WeightFile(
            name="resnet18-f37072fd.pth",
            url="https://download.pytorch.org/models/resnet18-f37072fd.pth",
            licence="BSD-3-Clause",
            folder="resnet18-imagenet",
        ),
    ),
)
"""torchvision's ResNet-18, trained on ImageNet: where training starts. Trained detectors do not need it."""


def weight_file(name: str) -> WeightFile:
    """The file of a trained detector."""
    return WeightFile(name=f"{name}.safetensors", folder=FOLDER, page=HOW, licence="your own")


def find(store: WeightStore, look_up: LookUp) -> Iterable[ModelSpec]:
    """The detectors in the model folders, by name; of equal names the first folder wins."""
    return [_spec(name, path, look_up) for name, path in own_files(store, FOLDER)]


def latest(store: WeightStore, look_up: LookUp) -> ModelSpec:
    """What "realism" means: the detector trained last, or a spec that says how to train one."""
    found = [(_trained(path), name, path) for name, path in own_files(store, FOLDER)]
    if not found:
        return SPEC
    _, name, path = max(found)
    return replace(_spec(name, path, look_up, model="realism"), find=find)


def _trained(path: Path) -> str:
    try:
        return FORMAT.read_file(path).trained
    except KeepersError:
        return ""


def _spec(name: str, path: Path, look_up: LookUp, model: str = "") -> ModelSpec:
    model = model or f"realism:{name}"
    file = weight_file(name)
    try:
        known = FORMAT.read_file(path)
    except KeepersError as error:
        broken = replace(SPEC, id=model, summary=str(error), weights=(file,), gate="", find=None, usual=None)
        return replace(broken, build=partial(build, file=file, look_up=look_up))
    labels = _labels(known)
    return replace(
        SPEC,
        id=model,
        title=f"Realism: {' against '.join(known.classes)}",
        summary=_summary(name, known),
        source="trained here",
        licence="your own",
        weights=(file, *_base_files(known, look_up)),
        cost=_cost(known),
        build=partial(build, file=file, look_up=look_up),
        labels=lambda: labels,
        gate=f"accept: {model}.real >= 0.5" if "real" in known.classes else "",
        find=None,
        usual=None,
    )


def _labels(known: Description) -> Labels:
    return Labels(known.classes, drifts=(("", PROBE_DRIFT if known.shape.kind == "probe" else FAST_DRIFT),))


def _base_files(known: Description, look_up: LookUp) -> tuple[WeightFile, ...]:
    if known.shape.kind != "probe":
        return ()
    from .probe import base_files

    return base_files(known.shape.base, look_up)


def _summary(name: str, known: Description) -> str:
    accuracy = known.metrics.get("accuracy")
    reached = f", {accuracy:.1%} right on images it never saw" if isinstance(accuracy, float) else ""
    images = known.training.get("images")
    count = f" on {images:,} images" if isinstance(images, int) else ""
    since = "converted" if "converted_from" in known.training else "trained"
    return f"{name}, {since} {known.trained[:10]}{count}{reached}."


def _cost(known: Description) -> float:
    scale = (known.view.size / 224) ** 2
    if known.shape.kind == "resnet":
        return 1.8 * 2 * scale * (known.shape.width / 64) ** 2 * sum(known.shape.blocks) / 8
    return 0.1 * scale if known.shape.kind == "basic" else 300.0


def build(given: Build, file: WeightFile, look_up: LookUp) -> Network:
    """The net that a file describes, filled with its tensors. Raises WrongWeights."""
    from .build import filled

    described = FORMAT.describe(given.metadata(file), given.path(file))
    found = filled(described, given, given.tensors(file), given.path(file), look_up)
    labels = _labels(described)
    fast = given.precision == "fast" and described.shape.kind != "basic"
    return Network(
        module=found.module.in_low_precision() if fast else found.module,
        labels=labels,
        views=found.views,
        name=partial(argmax_label, labels),
        tolerance=1.0 if fast else 0.0,
        parts=found.parts,
    )


def untrained(given: Build) -> Network:  # noqa: ARG001 (the contract of every model)
    """Raises MissingWeights: nobody has trained a detector on this machine."""
    raise MissingWeights(f"No realism detector has been trained here yet. Train one with your own images: {HOW}")


SPEC = ModelSpec(
    id="realism",
    title="Realism",
    summary="Real or generated, or any classes you name: a detector you train on your own images.",
    source="https://github.com/cpondoc/diffusion-model-analysis",
    licence="your own",
    weights=(PRETRAINED,),
    build=untrained,
    cost=3.6,
    gate="accept: realism.real >= 0.5",
    find=find,
    usual=latest,
    help=(
        f"Nobody publishes weights for it: {HOW} makes them, and realism then is the detector trained last; "
        "realism:NAME is the one of that name. Who has weights of the study's own code: keepers convert realism.\n"
        "Limits: a detector knows only the generators it was trained on, and it learns the file formats and sizes of "
        "its classes more than you would like: check it with keepers evaluate on images from elsewhere."
    ),
)
