from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data.transforms_factory import create_transform

from keepers.core.errors import CorruptWeights, WrongWeights
from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models import wd
from keepers.models.nets.uninitialised import build_uninitialised
from keepers.models.wd import WdView, read_design
from keepers.tests.models.tiny_models import WD_TAGS, WD_VIT, tag_list, wd_config
from keepers.tests.rounding import rounding

TAGS = tag_list(WD_TAGS)
ARCHITECTURE = "vit_tiny_patch16_224"
CONFIG = json.loads(wd_config(ARCHITECTURE, WD_VIT, 64))
ROUNDING = rounding(50, 300, size=7) / 4
"""12 blocks of 4 layers and both ends; logits of 192 features times 0.5; a sigmoid is at most 1/4 steep."""


def original() -> torch.nn.Module:
    torch.manual_seed(0)
    net = timm.create_model(ARCHITECTURE, num_classes=len(WD_TAGS), **WD_VIT)
    with torch.no_grad():
        net.get_parameter("head.weight").normal_(0, 0.5)
    return net.eval()


def place(folder: Path, tags: str = TAGS) -> Path:
    """Weights, tags and config as they are published, in the folder named after the repository."""
    home = folder / "wd-vit-tagger-v3"
    home.mkdir()
    save_file(original().state_dict(), home / "model.safetensors")
    (home / "selected_tags.csv").write_text(tags)
    (home / "config.json").write_text(json.dumps(CONFIG))
    return home


def load(folder: Path) -> Classifier:
    return Classifier.load(wd.SPEC, WeightStore([folder]), Runtime(device="cpu"), "exact")


def picture(mode: str = "RGB", size: tuple[int, int] = (91, 57)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.RandomState(4).randint(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[:, :, 0], mode)


def reference_view(image: Image.Image, size: int) -> torch.Tensor:
    """The published way: Pillow for the square, timm's own transform, then the channels turned round."""
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGBA") if "transparency" in image.info else image.convert("RGB")
    if image.mode == "RGBA":
        canvas = Image.new("RGBA", image.size, (255, 255, 255))
        canvas.alpha_composite(image)
        image = canvas.convert("RGB")
    side = max(image.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    half = (0.5, 0.5, 0.5)
    transform = create_transform((3, size, size), interpolation="bicubic", mean=half, std=half, crop_pct=1.0)
    return cast("Any", transform)(square)[[2, 1, 0]]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
@pytest.mark.parametrize("size", [(91, 57), (30, 64), (64, 64), (500, 333)])
def test_the_view_is_timms(mode: str, size: tuple[int, int]) -> None:
    image = picture(mode, size)
    torch.testing.assert_close(WdView(64)(image), reference_view(image, 64), rtol=0, atol=0)


def test_the_net_is_timms(tmp_path: Path) -> None:
    place(tmp_path)
    image = picture()
    (prediction,) = load(tmp_path).classify([image])
    with torch.inference_mode():
        expected = torch.sigmoid(original()(reference_view(image, 64)[None]))[0].numpy()
    np.testing.assert_allclose(prediction.values, expected, rtol=0, atol=ROUNDING)
    assert prediction.label == ("general", "sensitive", "questionable", "explicit")[int(expected[:4].argmax())]
    assert prediction.margin > 0
    assert [prediction.labels.group(i) for i in range(6)] == ["rating"] * 4 + ["general", "character"]


def test_features(tmp_path: Path) -> None:
    place(tmp_path)
    classifier = load(tmp_path)
    assert classifier.has_features
    features = classifier.features([classifier.prepare(picture())])
    assert features.shape == (1, 192)


@pytest.mark.parametrize(
    ("tags", "error"),
    [
        (TAGS.replace("5,miku,4,1\n", ""), WrongWeights),
        (TAGS.replace("miku", "1girl"), CorruptWeights),
        (TAGS.replace("miku", "a\x07b"), CorruptWeights),
        (TAGS.replace(",4,", ",77,"), CorruptWeights),
        (TAGS.replace("name", "title"), CorruptWeights),
        ("\ufeff" + TAGS, CorruptWeights),
        ("", CorruptWeights),
    ],
)
def test_a_wrong_tag_file_is_refused(tags: str, error: type[Exception], tmp_path: Path) -> None:
    place(tmp_path, tags)
    with pytest.raises(error):
        load(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        {"model_args": {"checkpoint_path": "evil.pth"}},
        {"architecture": "hf-hub:someone/evil"},
        {"pretrained_cfg": {"input_size": [3, 64, 100_000], "mean": [0.5] * 3, "std": [0.5] * 3}},
        {"pretrained_cfg": None},
    ],
)
def test_a_config_cannot_ask_for_anything(change: dict[str, object], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, **change}))
    with pytest.raises(CorruptWeights):
        read_design(tmp_path / "config.json")


def test_each_variant_has_a_folder_of_its_own() -> None:
    variants = {spec.id: spec.weights[0] for spec in wd.SPEC.variants}
    assert set(variants) == {f"wd:{name}" for name in ("vit", "swinv2", "convnext", "vit-large", "eva02-large")}
    assert len({file.folder for file in variants.values()}) == 5
    assert wd.SPEC.weights == next(spec for spec in wd.SPEC.variants if spec.id == "wd:vit").weights


def test_buffers_that_no_file_holds_are_computed() -> None:
    def make() -> torch.nn.Module:
        return timm.create_model("swinv2_cr_tiny_ns_224", num_classes=3)

    ours, theirs = dict(build_uninitialised(make).named_buffers()), dict(make().named_buffers())
    assert ours
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parity
@pytest.mark.skipif("WDV3_DIR" not in os.environ, reason="WDV3_DIR names no checkout of neggles/wdv3-timm")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
@pytest.mark.parametrize("size", [(91, 57), (64, 64), (500, 333)])
def test_the_view_is_the_originals(mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pandas", "simple_parsing"):
        monkeypatch.setitem(sys.modules, name, MagicMock())
    monkeypatch.syspath_prepend(os.environ["WDV3_DIR"])
    original = importlib.import_module("wdv3_timm")
    image = picture("RGB", size).convert(mode) if mode == "P" else picture(mode, size)
    half = (0.5, 0.5, 0.5)
    transform = create_transform((3, 448, 448), interpolation="bicubic", mean=half, std=half, crop_pct=1.0)
    square = original.pil_pad_square(original.pil_ensure_rgb(image))
    expected = cast("Any", transform)(square).unsqueeze(0)[:, [2, 1, 0]][0]
    assert torch.equal(WdView(448)(image), expected)
