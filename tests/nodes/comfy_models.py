"""Tiny models with random weights in the published layouts, for the nodes to ask: coherence, realism, wd."""

from __future__ import annotations

import json
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file

from keepers.models.realism.build import make_net
from keepers.models.realism.format import Description, Shape
from keepers.models.realism.view import Window
from keepers.tests.random_weights import random_weights

TAGS = ("general", "sensitive", "questionable", "explicit", "1girl", "solo", "long_hair", "^_^", "fox_(animal)", "miku")
_CATEGORIES = (9, 9, 9, 9, 0, 0, 0, 0, 0, 4)


def write_models(folder: Path) -> None:
    """Everything below, into a model folder."""
    write_coherence(folder)
    write_realism(folder)
    write_wd(folder)


def write_coherence(folder: Path) -> None:
    """A narrow coherence net."""
    golden = json.loads((Path(__file__).parents[1] / "data" / "coherence" / "golden.json").read_text())
    arrays = random_weights({name: tuple(shape) for name, shape in golden["shapes"].items()})
    arrays["1.8.weight"] *= 0.03
    (folder / "coherence").mkdir(parents=True, exist_ok=True)
    tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
    save_file(tensors, folder / "coherence" / "coherence_model.safetensors")


def write_realism(folder: Path, name: str = "tiny", *, blank: bool = False) -> None:
    """A small detector, as training writes one; a blank one answers NaN."""
    torch.manual_seed(0)
    described = Description(("real", "ai"), Shape("resnet", (1, 1, 1, 1), 8), Window(64), trained="2026-01-01T00:00:00")
    net = make_net(described.shape, 2, described.view)
    (folder / "realism").mkdir(parents=True, exist_ok=True)
    for parameter in net.parameters() if blank else ():
        torch.nn.init.constant_(parameter, torch.nan)
    save_file(dict(net.state_dict()), folder / "realism" / f"{name}.safetensors", metadata=described.metadata())


def write_wd(folder: Path) -> None:
    """A tagger of ten tags: four ratings, five general ones, a character."""
    place = folder / "wd-vit-tagger-v3"
    place.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    net = timm.create_model("test_vit", pretrained=False, num_classes=len(TAGS))
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, place / "model.safetensors")
    rows = [f"{i},{name},{group},{1000 - i}" for i, (name, group) in enumerate(zip(TAGS, _CATEGORIES, strict=True))]
    (place / "selected_tags.csv").write_text("\n".join(["tag_id,name,category,count", *rows]) + "\n")
    given = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "input_size": [3, 160, 160]}
    (place / "config.json").write_text(json.dumps({"architecture": "test_vit", "pretrained_cfg": given}))
