"""Records the layouts in tests/data/contract: python tests/models/write_layouts.py

No published weight file is read. Names and shapes come from timm's and torchvision's own nets, instantiated at full
width on the meta device, and from the names that the models' authors publish; `test_layouts.py` compares the result
with the numbers of tensors and parameters that are known of the published files.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Mapping

import timm
import torch
from torch import nn
from torchvision.models import resnet18, resnet34, resnet50

from keepers.core.weights.weight_file import WeightFile
from keepers.models import aesthetic, arniqa, coherence, jtp, wd
from keepers.models.faramir import own, tuned
from keepers.models.furry import furry
from keepers.models.furry.format import Layout as FurryLayout
from keepers.models.furry.labels import GROUPS, built_in_tags
from keepers.models.provenance import Provenance
from keepers.models.realism import realism
from keepers.models.realism.format import Description
from keepers.models.realism.format import Shape as NetShape
from keepers.models.realism.view import Window
from keepers.models.siglip import SIGLIP
from keepers.models.taste import taste
from keepers.tests.models.layouts import Layout, Shape, write_layout

MINE = "mine"
"""The name of whatever a user has made, in the contract test."""
EMPTY = hashlib.sha256((0).to_bytes(8, "little")).hexdigest()
"""The fingerprint of an empty file: the contract test has no other at full width."""
SIGLIP_NET = "vit_so400m_patch14_siglip_384"
COUNTER = "num_batches_tracked"
TIMM, VISION = f"timm {timm.__version__}", "torchvision"


def shapes(make: Callable[[], nn.Module], keep: Callable[[str], bool] = lambda _name: True) -> dict[str, Shape]:
    """The state dict of a net that takes no memory."""
    with torch.device("meta"):
        return {name: tuple(tensor.shape) for name, tensor in make().state_dict().items() if keep(name)}


def numbered(tensors: Mapping[str, Shape], prefix: str) -> dict[str, Shape]:
    """torchvision's ResNet without its classifier, as the children of a Sequential."""
    numbers = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    named = ((name.partition("."), shape) for name, shape in tensors.items() if not name.startswith("fc."))
    return {f"{prefix}{numbers[first]}.{rest}": shape for (first, _, rest), shape in named}


def linear(name: str, outside: int, inside: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outside, inside), f"{name}.bias": (outside,)}


def norm(name: str, width: int) -> dict[str, Shape]:
    vectors = {f"{name}.{part}": (width,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {**vectors, f"{name}.{COUNTER}": ()}


def integers(tensors: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in tensors if name.endswith(COUNTER))


def siglip_layout() -> dict[str, Shape]:
    return shapes(lambda: timm.create_model(SIGLIP_NET, num_classes=0))


def jtp_layout(head: dict[str, Shape]) -> Layout:
    return Layout(
        f"{TIMM}, {SIGLIP_NET}; the head as the authors' inference_gradio.py builds it", siglip_layout() | head
    )


def coherence_layout() -> Layout:
    body = numbered(shapes(resnet34), "0.")
    head = norm("1.2", 1024) | {"1.4.weight": (512, 1024)} | norm("1.6", 512) | {"1.8.weight": (3, 512)}
    return Layout(
        f"{VISION}, resnet34, under the names of fastai 2.8.12's vision_learner", body | head, integers(body | head)
    )


def arniqa_layout() -> Layout:
    body = numbered(shapes(resnet50), "model.")
    tensors = body | linear("projector.0", 2048, 2048) | linear("projector.2", 128, 2048)
    return Layout(f"{VISION}, resnet50, under the names of ARNIQA's own code", tensors, integers(tensors))


def aesthetic_layout() -> Layout:
    widths = (1152, 1024, 128, 64, 16, 1)
    pairs = itertools.pairwise(widths)
    layers = [linear(f"scoring_head.{2 * index}", outside, inside) for index, (inside, outside) in enumerate(pairs)]
    return Layout("the published file", {name: shape for layer in layers for name, shape in layer.items()})


def faramir_layout() -> Layout:
    pool = {name: shape for name, shape in siglip_layout().items() if name.startswith("attn_pool.")}
    norms = {
        f"norm.{expert}.{part}": (1,) if part == "weight" else (width,)
        for expert, width in (("ap_norm", 1152), ("ae_norm", 16), ("q_norm", 128))
        for part in ("weight", "m2", "mean", "stddev")
    }
    head = linear("head.linear_1", 64, 1296) | linear("head.linear_2", 62, 64) | decision()
    first = {f"head.activation_1.{part}": (64,) for part in ("alpha", "gamma_m", "gamma_p")}
    return Layout("FARAMIR's model.py", pool | norms | head | first)


def decision() -> dict[str, Shape]:
    activation = {f"head.activation_2.{part}": (8,) for part in ("alpha", "gamma_m", "gamma_p")}
    return linear("head.linear_3", 8, 32) | activation | linear("head.linear_4", 1, 8)


def wd_layout(design: wd.Design) -> Layout:
    make = lambda: timm.create_model(design.architecture, num_classes=10861, **design.arguments)  # noqa: E731
    return Layout(f"{TIMM}, {design.architecture}, as the published config.json asks for it", shapes(make))


def furry_layout(one: furry.Published, hidden: int) -> Layout:
    with torch.device("meta"):
        tower = timm.create_model(one.backbone, num_classes=0)
    tags = {group: built_in_tags()[group] for group in GROUPS}
    tensors = shapes(lambda: tower, lambda name: not name.endswith(COUNTER))
    tensors = {f"tower.{name}": shape for name, shape in tensors.items()}
    for group, names in tags.items():
        tensors |= linear(f"heads.{group}.0", hidden, int(tower.head_hidden_size))  # pyright: ignore[reportArgumentType]
        tensors |= linear(f"heads.{group}.1", len(names), hidden)
    described = FurryLayout(
        one.backbone, one.size, tags, dict.fromkeys(tags, ("relu", "sigmoid")), one.normalised, source=one.name
    )
    how = f"{TIMM}, {one.backbone}; heads of {hidden} units, by the published number of parameters"
    return Layout(how, tensors, metadata=described.metadata())


def realism_layout() -> Layout:
    body = numbered(shapes(resnet18), "body.")
    described = Description(("real", "ai"), NetShape("resnet"), Window())
    tensors = body | linear("fc", 2, 512)
    how = f"{VISION}, resnet18, under the names of keepers train realism"
    return Layout(how, tensors, integers(tensors), described.metadata())


def main() -> None:
    """Write every layout that the registry's models need."""
    write_layout(coherence.PUBLISHED, coherence_layout())
    write_layout(realism.weight_file(MINE), realism_layout())
    write_layout(jtp.PILOT, jtp_layout(linear("head", 9083, 1152)))
    write_layout(jtp.PILOT2, jtp_layout(linear("head.linear", 18166, 1152)))
    for one in furry.PUBLISHED:
        hidden = 128 if one.name.startswith("efficientnet_v2_b3") else 256
        write_layout(furry.converted(one.name, one.drive), furry_layout(one, hidden))
    write_layout(WeightFile(furry.file_name(MINE)), furry_layout(furry.PUBLISHED[3], 64))
    for spec, (design, _cost) in zip(wd.SPEC.variants, wd.DESIGNS.values(), strict=True):
        write_layout(spec.weights[0], wd_layout(design))
    write_layout(own.OWN, faramir_layout())
    write_layout(SIGLIP, Layout(f"{TIMM}, {SIGLIP_NET}", siglip_layout()))
    write_layout(arniqa.ENCODER, arniqa_layout())
    write_layout(aesthetic.HEAD, aesthetic_layout())
    for data_set in arniqa.DATA_SETS:
        regressor = Layout("ARNIQA's own code: its TorchScript holds these two", {"weights": (1, 4096), "biases": ()})
        write_layout(arniqa.regressor_file(data_set), regressor)
    tuned_text = Provenance("decision", "faramir", EMPTY).metadata()
    write_layout(tuned.weight_file(MINE), Layout("keepers tune faramir", decision(), metadata=tuned_text))
    probe = {"columns": (1152,), "weight": (1152,), "bias": (1,)}
    described = Provenance("probe", "siglip", EMPTY).metadata()
    write_layout(taste.weight_file(MINE), Layout("keepers tune taste", probe, ("columns",), described))


if __name__ == "__main__":
    main()
