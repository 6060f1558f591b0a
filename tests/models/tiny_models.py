"""Every model at tiny width: its weight files, with random numbers, under the published names and in their layout.

`test_contract.py` walks the registry and asks of every model what is written down there. A new model needs:

1. its line in models/registry.py;
2. one line in `TINY` below: a function that writes the model's weight files into a folder, as narrow as its loader
   takes them. Files go where `place` says. A model with `find` also gets one file that a user has made, named `MINE`;
3. for each published weight file its layout, tests/data/contract/FOLDER/NAME.json. The smallest one is
   {"source": "the model's own code", "tensors": {"weight": [3], "bias": [1]}}; larger ones come from write_layouts.py.
   A model without weight files needs none.

A model whose values may leave the range of a label says so in its `help` ("Nothing limits ..."), and names the label
in its line of `TINY`; so does one whose answers in one word are not all labels.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import timm
import torch
from safetensors.torch import save_file
from timm.models import register_model
from torch import Tensor, nn

from keepers.core.weights.checksum import fingerprint
from keepers.core.weights.weight_file import WeightFile
from keepers.models import aesthetic, arniqa, coherence, jtp, wd
from keepers.models.faramir import own, tuned
from keepers.models.faramir.labels import AESTHETIC
from keepers.models.faramir.net import Head, Own
from keepers.models.furry import furry
from keepers.models.furry.format import Layout as FurryLayout
from keepers.models.furry.labels import GROUPS, built_in_tags
from keepers.models.furry.towers import make_tower
from keepers.models.furry.view import SquashView
from keepers.models.nets.aesthetic import AestheticHead
from keepers.models.nets.arniqa import Encoder
from keepers.models.nets.coherence import CoherenceNet
from keepers.models.nets.siglip import SigLip
from keepers.models.provenance import Provenance
from keepers.models.realism import realism
from keepers.models.realism.build import make_net
from keepers.models.realism.format import Description, Shape
from keepers.models.realism.view import Window
from keepers.models.siglip import SIGLIP
from keepers.models.taste import taste
from keepers.tests.parity.faramir_pictures import random_tensor, scene
from keepers.tests.random_weights import random_weights

MINE = "mine"
"""The name of what a user has made, in these files and in the ids of the models that they become."""
SIZES = {"width": 144, "hidden": 538, "depth": 2}
"""Of the SigLIP tower: two heads of attention."""


def place(folder: Path, file: WeightFile) -> Path:
    """Where a model folder keeps a weight file."""
    path = folder / file.folder / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def seeded(module: nn.Module, prefix: str) -> dict[str, Tensor]:
    """Tensors for all of a net's names, as the golden values of SigLIP, ARNIQA and FARAMIR were recorded with."""
    return {k: torch.from_numpy(random_tensor(prefix + k, tuple(v.shape))) for k, v in module.state_dict().items()}


def random_state(module: nn.Module) -> dict[str, Tensor]:
    """Tensors for all of a net's names that let activations neither die nor grow."""
    shapes = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    return {name: torch.from_numpy(array) for name, array in random_weights(shapes).items()}


# SigLIP, the aesthetic head, ARNIQA, FARAMIR


@lru_cache(maxsize=1)
def faramir_tensors() -> Mapping[str, dict[str, Tensor]]:
    """What FARAMIR's four files hold: backbone, own, arniqa, aesthetic."""
    with torch.device("meta"):
        tower, encoder = SigLip(**SIZES), Encoder(width=4)
        head, part = AestheticHead(SIZES["width"]), Own(width=SIZES["width"], hidden=SIZES["hidden"])
    values = seeded(part, "own.")
    for name in ("ap_norm", "ae_norm", "q_norm"):  # what training leaves behind, and nobody reads
        values |= {f"norm.{name}.weight": torch.zeros(1), f"norm.{name}.m2": torch.zeros(3)}
    return {
        "own": values,
        "backbone": seeded(tower, "backbone."),
        "arniqa": seeded(encoder, "narrow."),
        "aesthetic": seeded(head, "aesthetic."),
    }


def write_siglip(folder: Path) -> None:
    save_file(faramir_tensors()["backbone"], place(folder, SIGLIP))


def write_aesthetic(folder: Path) -> None:
    write_siglip(folder)
    torch.save(faramir_tensors()["aesthetic"], place(folder, aesthetic.HEAD))


class Ridge(nn.Module):
    """A published regressor, under its names."""

    def __init__(self, weights: Tensor, bias: float) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)
        self.biases = nn.Parameter(torch.tensor(bias))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weights.T + self.biases


def write_regressor(path: Path, data_set: str, features: int) -> None:
    """A TorchScript archive, as published."""
    low, high, _ = arniqa.DATA_SETS[data_set]
    weights = (random_tensor(f"regressor.{data_set}", (1, features)) * (high - low) * 20).astype(np.float32)
    scripted = torch.jit.script(Ridge(torch.from_numpy(weights), (low + high) / 2))
    cast("torch.jit.ScriptModule", scripted).save(str(path))


def write_encoder(path: Path, width: int) -> None:
    with torch.device("meta"):
        encoder = Encoder(width=width)
    torch.save(seeded(encoder, "arniqa."), path)


def write_arniqa(folder: Path) -> None:
    write_encoder(place(folder, arniqa.ENCODER), 4)
    for data_set in arniqa.DATA_SETS:
        write_regressor(place(folder, arniqa.regressor_file(data_set)), data_set, 256)


def write_faramir(folder: Path) -> None:
    write_aesthetic(folder)
    torch.save(faramir_tensors()["arniqa"], place(folder, arniqa.ENCODER))
    torch.save(faramir_tensors()["own"], place(folder, own.OWN))
    with torch.device("meta"):
        names = [name for name in Head(1).state_dict() if name.startswith(tuned.TRAINED)]
    decision = {f"head.{name}": 1.25 * faramir_tensors()["own"][f"head.{name}"] for name in names}
    told = Provenance("decision", "faramir", fingerprint(place(folder, own.OWN)))
    save_file(decision, place(folder, tuned.weight_file(MINE)), metadata=told.metadata())


def write_taste(folder: Path) -> None:
    """A taste on SigLIP's vector."""
    write_siglip(folder)
    width = SIZES["width"]
    weight = torch.from_numpy(random_tensor("taste.weight", (1, width)))[0] * width**0.5
    tensors = {"columns": torch.arange(width), "weight": weight, "bias": torch.zeros(1)}
    told = Provenance("probe", "siglip", fingerprint(place(folder, SIGLIP)))
    save_file(tensors, place(folder, taste.weight_file(MINE)), metadata=told.metadata())


# Coherence, realism


def write_coherence(folder: Path) -> None:
    with torch.device("meta"):
        net = CoherenceNet(width=4, hidden=8)
    tensors = random_state(net)
    tensors["1.8.weight"] *= 0.03  # else the softmax knows one class only
    save_file(tensors, place(folder, coherence.PUBLISHED))


SMALL_DETECTOR = Shape("resnet", blocks=(1, 1), width=4)


def write_detector(
    folder: Path,
    name: str = MINE,
    classes: tuple[str, ...] = ("real", "ai"),
    *,
    shape: Shape = SMALL_DETECTOR,
    view: Window | None = None,
    trained: str = "2026-01-01T00:00:00Z",
    metadata: dict[str, str] | None = None,
) -> Path:
    """A realism detector as `keepers train realism` writes it; `metadata` replaces what it says of itself."""
    view = view or Window(48)
    described = Description(classes, shape, view, trained).metadata() if metadata is None else metadata
    path = place(folder, realism.weight_file(name))
    save_file(random_state(make_net(shape, len(classes), view)), path, metadata=described)
    return path


def write_realism(folder: Path) -> None:
    write_detector(folder)


# JTP


class GatedHead(nn.Module):
    """PILOT2's head as its authors describe it."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.count = count
        self.linear = nn.Linear(width, 2 * count)

    def forward(self, x: Tensor) -> Tensor:
        x = self.linear(x)
        return torch.sigmoid(x[:, : self.count]) * torch.sigmoid(x[:, self.count :])


def jtp_original(gated: bool, count: int = 3) -> nn.Module:
    """timm's tower with one head of attention, and weights that any machine makes alike."""
    net = timm.models.vision_transformer.VisionTransformer(
        img_size=384, patch_size=14, embed_dim=72, depth=2, num_heads=1, mlp_ratio=2,
        class_token=False, global_pool="map", num_classes=count,
    )  # fmt: skip
    if gated:
        net.add_module("head", GatedHead(72, count))
    net.load_state_dict(random_state(net))
    return net.eval()


def write_jtp(folder: Path, count: int = jtp.TAG_COUNT) -> None:
    for file, gated in ((jtp.PILOT, False), (jtp.PILOT2, True)):
        save_file(jtp_original(gated, count).state_dict(), place(folder, file))


# wd


@register_model
def keepers_tiny_swinv2(pretrained: bool = False, **arguments: Any) -> nn.Module:
    del pretrained
    sizes = {"embed_dim": 16, "depths": (1, 1, 1, 1), "num_heads": (1, 1, 2, 2)}
    return timm.create_model("swinv2_tiny_window8_256", **sizes, **arguments)


@register_model
def keepers_tiny_eva02(pretrained: bool = False, **arguments: Any) -> nn.Module:
    del pretrained
    return timm.create_model("eva02_tiny_patch14_224", embed_dim=48, depth=2, num_heads=2, **arguments)


WD_VIT = {"img_size": 64, "class_token": False, "global_pool": "avg", "fc_norm": False, "act_layer": "gelu_tanh"}
WD_TINY: Mapping[str, tuple[str, Mapping[str, Any], int]] = {
    "vit": ("test_vit", WD_VIT, 64),
    "swinv2": ("keepers_tiny_swinv2", {"img_size": 64, "window_size": 2}, 64),
    "convnext": ("test_convnext", {}, 64),
    "vit-large": ("test_vit2", WD_VIT, 64),
    "eva02-large": ("keepers_tiny_eva02", {"img_size": 56, "ref_feat_shape": (4, 4)}, 56),
}
"""By variant: a narrow net of the same kind, what its config.json asks for, and the side of its pictures."""
WD_TAGS = (*((name, 9) for name in ("general", "sensitive", "questionable", "explicit")), ("1girl", 0), ("miku", 4))


def tag_list(tags: Iterable[tuple[str, int]]) -> str:
    """A `selected_tags.csv`."""
    rows = (f"{index},{name},{category},1\n" for index, (name, category) in enumerate(tags))
    return "tag_id,name,category,count\n" + "".join(rows)


def wd_config(architecture: str, arguments: Mapping[str, Any], size: int, count: int = len(WD_TAGS)) -> str:
    """A `config.json`."""
    view = {"input_size": [3, size, size], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    design = {"architecture": architecture, "num_classes": count, "model_args": arguments, "pretrained_cfg": view}
    return json.dumps(design)


def write_wd(folder: Path) -> None:
    for variant, spec in zip(wd.DESIGNS, wd.SPEC.variants, strict=True):
        weights, tags, config = (place(folder, file) for file in spec.weights)
        architecture, arguments, size = WD_TINY[variant]
        net = timm.create_model(architecture, num_classes=len(WD_TAGS), **arguments)
        save_file(random_state(net), weights)
        tags.write_text(tag_list(WD_TAGS))
        config.write_text(wd_config(architecture, arguments, size))


def write_wd_tags(folder: Path) -> None:
    """A list as long as the published one of 10,861 tags."""
    for spec in wd.SPEC.variants:
        tags = [*WD_TAGS, *((f"tag_{index}", 0) for index in range(10_861 - len(WD_TAGS)))]
        place(folder, spec.weights[1]).write_text(tag_list(tags))


# Furry


def settled(tower: nn.Module) -> dict[str, Tensor]:
    """The tensors of a tower whose norms have the statistics of pictures: else all pictures look alike to it."""
    for module in tower.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
            module.reset_running_stats()
    view = SquashView(64, 0.5, 0.225)
    with torch.no_grad():
        tower.train()(torch.stack([view(scene(200, 150, seed)) for seed in range(6)]))
    return tower.state_dict()


def write_furry(folder: Path) -> None:
    """Files as `keepers convert furry` makes them, all with the smallest tower that it knows."""
    tags = {group: built_in_tags()[group] for group in GROUPS}
    tower = make_tower("tf_mobilenetv3_small_075")
    tower.load_state_dict(random_state(tower))
    tensors = {f"tower.{name}": tensor for name, tensor in settled(tower).items()}
    for group, names in tags.items():
        layers = ((f"heads.{group}.0", (8, 1024)), (f"heads.{group}.1", (len(names), 8)))
        for name, shape in layers:
            values = random_weights({f"{name}.weight": shape, f"{name}.bias": shape[:1]})
            tensors |= {key: torch.from_numpy(array) for key, array in values.items()}
    activations = dict.fromkeys(tags, ("relu", "sigmoid"))
    files = [furry.converted(one.name, one.drive) for one in furry.PUBLISHED]
    for file in (*files, WeightFile(furry.file_name(MINE))):
        described = FurryLayout("tf_mobilenetv3_small_075", 64, tags, activations, True)
        save_file(tensors, place(folder, file), metadata=described.metadata())


# All


def nothing(_folder: Path) -> None:
    """For a model that has no files."""


@dataclass(frozen=True)
class Tiny:
    """How a model and its variants are made tiny."""

    write: Callable[[Path], None] = nothing
    """Writes their weight files into a model folder, and what lies beside them."""
    beside: Callable[[Path], None] = nothing
    """Writes the small files alone (lists of tags), as long as those that lie beside the published weights."""
    words: frozenset[str] = frozenset()
    """Answers in one word that are not labels."""
    unlimited: frozenset[str] = frozenset()
    """Labels whose values may leave their range, because nothing limits them."""


FAILURES = frozenset(("tiny", "black", "blank", "solid", "lost", "noise", "blur", "clipped", "tiled", "duplicate"))

TINY: Mapping[str, Tiny] = {
    "signals": Tiny(words=FAILURES),
    "coherence": Tiny(write_coherence),
    "realism": Tiny(write_realism),
    "jtp": Tiny(write_jtp),
    "furry": Tiny(write_furry, words=frozenset(("safe", "questionable", "explicit"))),
    "wd": Tiny(write_wd, beside=write_wd_tags),
    "faramir": Tiny(write_faramir, unlimited=frozenset((AESTHETIC,))),
    "aesthetic": Tiny(write_aesthetic, unlimited=frozenset(("score",))),
    "arniqa": Tiny(write_arniqa, unlimited=frozenset(("quality",))),
    "siglip": Tiny(write_siglip),
    "taste": Tiny(write_taste, words=frozenset(("reject",))),
}
"""By the id of the model, without its variants."""
