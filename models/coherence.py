"""Coherence: whether a generated picture makes sense as a whole (reddesert/coherence_detection)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from ..core.errors import WrongWeights
from ..core.pictures.preprocess import IMAGENET_MEAN, IMAGENET_STD, Preprocess
from ..core.prediction import Labels, argmax_label
from ..core.spec import Build, ModelSpec, Network
from ..core.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from torch import Tensor

CLASSES = Labels(("coherent", "incoherent", "semi-incoherent"), drifts=(("", 0.12),))
"""In the order of the net's outputs: fastai sorts its vocabulary. For the drift, see benchmarks/drift.py."""

SQUASH = Preprocess(224, "squash", "bilinear", mean=IMAGENET_MEAN, std=IMAGENET_STD)
"""As the author's own application resizes. fastai's training default crops instead; that is offered as a variant."""

CROP = replace(SQUASH, fit="crop")

PUBLISHED = WeightFile(
    name="coherence_model.safetensors",
    repo="reddesert/coherence_detection",
    licence="OpenMDW-1.0",
    folder="coherence",
    alternatives=(
        WeightFile(
            name="coherence_model.pth",
            repo="reddesert/coherence_detection",
            licence="OpenMDW-1.0",
            folder="coherence",
        ),
    ),
)


def build(given: Build, view: Preprocess) -> Network:
    """The net with the published tensors, whatever prefix their names have. Raises WrongWeights."""
    import torch

    from ..core.weights.assign import assign, build_on_meta
    from .nets.coherence import CoherenceNet
    from .nets.resnet import fold_batch_norms

    tensors = canonical(given.tensors(PUBLISHED))
    width, hidden = _side(tensors, "0.0.weight", 64), _side(tensors, "1.4.weight", 512)
    net = build_on_meta(lambda: CoherenceNet(width=width, hidden=hidden, classes=len(CLASSES)))
    assign(net, tensors, path=PUBLISHED.name, model="coherence")
    fold_batch_norms(net.body)
    net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub lacks this overload
    fast = given.precision == "fast"
    return Network(
        module=net.in_low_precision() if fast else net,
        labels=CLASSES,
        views=(view,),
        name=partial(argmax_label, CLASSES),
        tolerance=1.0 if fast else 0.0,
    )


def canonical(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under fastai's own names: "0.…" the body, "1.…" the head.

    The prefix in the published safetensors could not be checked, so both parts are recognised by shape: the body by
    its first convolution, the head by its last layer. torchvision's names for a ResNet are understood too.
    """
    body = _prefix(tensors, ("0.weight", "conv1.weight"), lambda shape: len(shape) == 4 and shape[1:] == (3, 7, 7))
    head = _prefix(tensors, ("8.weight",), lambda shape: len(shape) == 2 and shape[0] == len(CLASSES))
    if body is None or head is None:
        raise WrongWeights(PUBLISHED.name, "coherence", detail="no fastai ResNet with three classes was found in it")
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name.startswith(head) and name[len(head) :].split(".")[0].isdigit():
            found[f"1.{name[len(head) :]}"] = tensor
        elif name.startswith(body):
            found[f"0.{_numbered(name[len(body) :])}"] = tensor
        else:
            found[name] = tensor  # assign refuses it by name
    return found


def _prefix(
    tensors: Mapping[str, Tensor], endings: tuple[str, ...], fits: Callable[[tuple[int, ...]], bool]
) -> str | None:
    for name, tensor in tensors.items():
        for ending in endings:
            if (name == ending or name.endswith("." + ending)) and fits(tuple(tensor.shape)):
                return name[: -len(ending)]
    return None


NUMBERS = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}


def _numbered(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{NUMBERS.get(first, first)}.{rest}"


def _side(tensors: Mapping[str, Tensor], name: str, usual: int) -> int:
    return int(tensors[name].shape[0]) if name in tensors else usual


SPEC = ModelSpec(
    id="coherence",
    title="Coherence detection",
    summary="coherent, semi-incoherent or incoherent. For AI-made images only, and meant as a flag for review.",
    source="https://huggingface.co/reddesert/coherence_detection",
    licence="OpenMDW-1.0",
    weights=(PUBLISHED,),
    cost=7.3,
    gate='accept: coherence.label == "coherent"; review: coherence.label == "semi-incoherent"',
    labels=lambda: CLASSES,
    build=partial(build, view=SQUASH),
    help=(
        "Trained on about 44,000 AI-generated images. Images are squashed to 224 x 224 as the author's own application "
        "does; coherence:crop cuts out the centre instead, as fastai does by default while training.\n"
        "Limits: its card says that it is for AI-generated images only, not for photos, and that it should flag images "
        "for a person to review. So its usual gate sends semi-incoherent ones to review."
    ),
)
CROPPED = replace(
    SPEC,
    id="coherence:crop",
    build=partial(build, view=CROP),
    gate='accept: coherence:crop.label == "coherent"; review: coherence:crop.label == "semi-incoherent"',
)
SPEC = replace(SPEC, variants=(CROPPED,))
