from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import functional as TF

from keepers.core.captions.recipe import CaptionRecipe
from keepers.core.captions.writer import CaptionWriter, taggers
from keepers.core.errors import CorruptWeights, WrongWeights
from keepers.core.judging.classifier import Classifier
from keepers.core.prediction import Labels, Prediction
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec, Precision
from keepers.core.weights.store import WeightStore
from keepers.models import jtp
from keepers.models.tag_files import read_tag_index
from keepers.tests.models.tiny_models import jtp_original
from keepers.tests.rounding import rounding

TAGS = {"long hair": 0, "solo": 2, "male/female": 1}
PILOT, PILOT2 = jtp.PILOT.name, jtp.PILOT2.name
ROUNDING = rounding(12, 300) / 4
"""2 blocks of 4 layers, patches of 588 numbers and the pool; a sigmoid is at most 1/4 steep."""


def place(folder: Path, gated: bool, tags: object = TAGS, count: int = 3) -> Path:
    path = folder / (PILOT2 if gated else PILOT)
    save_file(jtp_original(gated, count).state_dict(), path)
    if tags is not None:
        (folder / "tags.json").write_text(tags if isinstance(tags, str) else json.dumps(tags))
    return path


def load(folder: Path, spec: ModelSpec = jtp.SPEC, precision: Precision = "exact") -> Classifier:
    return Classifier.load(spec, WeightStore([folder]), Runtime(device="cpu"), precision)


def picture(mode: str = "RGB", size: tuple[int, int] = (120, 200)) -> Image.Image:
    channels = len(Image.new(mode, (1, 1)).getbands())
    pixels = np.random.RandomState(2).randint(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[:, :, 0], mode)


def reference_view(image: Image.Image) -> torch.Tensor:
    """The published steps in torchvision's own functions."""
    image = image.convert("RGBA")
    scale = min(384 / image.height, 384 / image.width)
    if scale != 1.0:
        size = [min(round(side * scale), 384) for side in (image.height, image.width)]
        image = cast("Any", TF.resize)(image, size, InterpolationMode.LANCZOS)
    x = TF.to_tensor(image)
    alpha = x[3:]
    x = x[:3] * alpha + (1.0 - alpha) * 0.5
    return v2.CenterCrop(384)(TF.normalize(x, [0.5] * 3, [0.5] * 3))


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA"])
@pytest.mark.parametrize("size", [(120, 200), (384, 384), (1000, 333), (383, 384), (7, 3), (1024, 1536)])
def test_the_view_is_torchvisions_to_the_last_bit(mode: str, size: tuple[int, int]) -> None:
    image = picture(mode, size)
    assert torch.equal(jtp.VIEW(image), reference_view(image))


@pytest.mark.parametrize("gated", [False, True])
def test_the_net_is_timms(gated: bool, tmp_path: Path) -> None:
    place(tmp_path, gated)
    image = picture()
    (prediction,) = load(tmp_path).classify([image])
    with torch.inference_mode():
        expected = jtp_original(gated)(reference_view(image)[None])[0]
    expected = expected if gated else torch.sigmoid(expected)
    np.testing.assert_allclose(prediction.values, expected.numpy(), rtol=0, atol=ROUNDING)
    assert prediction.label == ""
    assert prediction.tolerance == 0
    assert prediction.labels.names == ("long_hair", "male/female", "solo")


# Recorded from timm 1.0.31 and torch 2.15 in float32: what the nets above give for the picture above.
GOLDEN = {False: [0.35416514, 0.49244255, 0.30715591], True: [0.01480221, 0.1324489, 0.36350265]}


@pytest.mark.parametrize("gated", [False, True])
def test_the_recorded_answers(gated: bool, tmp_path: Path) -> None:
    place(tmp_path, gated)
    (prediction,) = load(tmp_path).classify([picture()])
    np.testing.assert_allclose(prediction.values, GOLDEN[gated], atol=1e-5)


def test_fast_stays_within_its_tolerance(tmp_path: Path) -> None:
    place(tmp_path, gated=False)
    (exact,), (fast,) = (load(tmp_path, precision=precision).classify([picture()]) for precision in ("exact", "fast"))
    assert fast.tolerance == 1
    assert np.abs(exact.values - fast.values).max() <= fast.drift(fast.labels.names[0]) < 0.1


def test_features_are_what_the_head_reads(tmp_path: Path) -> None:
    place(tmp_path, gated=False)
    classifier = load(tmp_path)
    features = classifier.features([classifier.prepare(picture())])
    weights = jtp_original(gated=False).state_dict()
    logits = torch.from_numpy(features) @ weights["head.weight"].T + weights["head.bias"]
    (prediction,) = classifier.classify([picture()])
    np.testing.assert_allclose(torch.sigmoid(logits)[0].numpy(), prediction.values, rtol=0, atol=ROUNDING)


def test_the_head_is_known_by_its_keys_and_not_by_the_name(tmp_path: Path) -> None:
    place(tmp_path, gated=True).rename(tmp_path / PILOT)
    (prediction,) = load(tmp_path).classify([picture()])
    with torch.inference_mode():
        expected = jtp_original(gated=True)(reference_view(picture())[None])[0]
    np.testing.assert_allclose(prediction.values, expected.numpy(), rtol=0, atol=ROUNDING)


def test_plain_jtp_takes_what_is_there(tmp_path: Path) -> None:
    place(tmp_path, gated=True)
    store = WeightStore([tmp_path])
    (file,) = jtp.SPEC.weights
    assert store.path(file).name == PILOT2
    place(tmp_path, gated=False)
    assert store.path(file).name == PILOT
    (second,) = jtp.SPEC.variants[1].weights
    assert (jtp.SPEC.variants[1].id, store.path(second).name) == ("jtp:pilot2", PILOT2)


@pytest.mark.parametrize(
    ("tags", "error", "word"),
    [
        ({"a": 0, "b": 1}, WrongWeights, "2 tags, the head has 3"),
        ({"a": 0, "b": 1, "c": 3}, WrongWeights, "0 to 2"),
        ({"a": 0, "b": 1, "c": 1}, WrongWeights, "0 to 2"),
        ({"a": 0, "b": 1, "c": "2"}, CorruptWeights, "whole number"),
        ({"a": 0, "b": 1, "c": True}, CorruptWeights, "whole number"),
        ('{"a": 0, "a": 1, "b": 2}', CorruptWeights, "twice"),
        ({"a b": 0, "a_b": 1, "c": 2}, CorruptWeights, "twice"),
        ({"a": 0, "b\n": 1, "c": 2}, CorruptWeights, "control"),
        ({"a": 0, "": 1, "c": 2}, CorruptWeights, "empty"),
        ({"a": 0, "b\u202e": 1, "c": 2}, CorruptWeights, "control"),
        ("[1, 2, 3]", CorruptWeights, "no tag list"),
        ("{", CorruptWeights, "no JSON"),
        ("[" * 100_000, CorruptWeights, "no JSON"),
        ('\ufeff{"a": 0, "b": 1, "c": 2}', CorruptWeights, "byte order mark"),
        ("{" + " " * (17 << 20) + "}", CorruptWeights, "too large"),
    ],
)
def test_a_wrong_tag_list_is_refused(tags: object, error: type[Exception], word: str, tmp_path: Path) -> None:
    place(tmp_path, gated=False, tags=tags)
    with pytest.raises(error, match=word):
        load(tmp_path)


def test_without_a_tag_list_the_head_must_have_9083_tags(tmp_path: Path) -> None:
    place(tmp_path, gated=False, tags=None)
    with pytest.raises(WrongWeights, match="3 outputs, and the built-in tag list 9083"):
        load(tmp_path)


def test_the_built_in_list_serves_a_head_of_9083_tags(tmp_path: Path) -> None:
    place(tmp_path, gated=True, tags=None, count=9083)
    classifier = load(tmp_path)
    assert classifier.labels is jtp.built_in_labels()
    (prediction,) = classifier.classify([picture()])
    assert prediction.labels.names[-1] == "yellow_theme"
    assert ((prediction.values > 0) & (prediction.values < 1)).all()


@pytest.mark.parametrize("change", ["missing", "extra", "head", "bias", "shape"])
def test_other_tensors_are_refused(change: str, tmp_path: Path) -> None:
    tensors = dict(jtp_original(gated=False).state_dict())
    if change == "missing":
        del tensors["blocks.1.mlp.fc1.bias"]
    elif change == "extra":
        tensors["cls_token"] = torch.zeros(1)
    elif change == "head":
        tensors["head.other"] = torch.zeros(1)
    elif change == "bias":
        tensors["head.bias"] = torch.zeros(5)
    else:
        tensors["blocks.0.norm1.weight"] = torch.zeros(3)
    save_file(tensors, tmp_path / PILOT)
    (tmp_path / "tags.json").write_text(json.dumps(TAGS))
    with pytest.raises(WrongWeights):
        load(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_head_that_holds_no_numbers_is_refused(value: float, tmp_path: Path) -> None:
    tensors = dict(jtp_original(gated=False).state_dict())
    tensors["head.bias"][1] = value
    save_file(tensors, tmp_path / PILOT)
    with pytest.raises(CorruptWeights, match=r"head\.bias"):
        load(tmp_path)


def test_a_nan_inside_the_tower_shows_as_nan(tmp_path: Path) -> None:
    tensors = dict(jtp_original(gated=False).state_dict())
    tensors["blocks.0.norm1.weight"][0] = np.nan
    save_file(tensors, tmp_path / PILOT)
    (tmp_path / "tags.json").write_text(json.dumps(TAGS))
    (prediction,) = load(tmp_path).classify([picture()])
    assert np.isnan(prediction.values).all()
    assert prediction.above(0.0) == []


def test_the_built_in_list() -> None:
    names = read_tag_index(jtp.BUILT_IN_TAGS, "jtp", 9083)
    assert names[:3] == ("anthro", "female", "male")
    assert len(set(names)) == 9083


def test_the_recommended_threshold(tmp_path: Path) -> None:
    place(tmp_path, gated=False)
    (prediction,) = load(tmp_path).classify([picture()])
    assert "0.2" in jtp.SPEC.help
    assert {score.label for score in prediction.above(0.2)} == {
        name for name, value in zip(prediction.labels.names, prediction.values, strict=True) if value >= 0.2
    }


@pytest.mark.parity
@pytest.mark.skipif("JTP_DIR" not in os.environ, reason="JTP_DIR names no checkout of the original")
@pytest.mark.parametrize("kind", ["pilot", "pilot2"])
def test_the_original_at_full_width(kind: str, tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "parity" / "jtp_original.py"
    subprocess.run([sys.executable, str(script), os.environ["JTP_DIR"], str(tmp_path), kind], check=True)
    classifier = load(tmp_path)
    with np.load(tmp_path / "inputs.npz") as inputs, np.load(tmp_path / "answers.npz") as answers:
        assert len(answers.files) == 3
        for name in answers.files:
            with Image.open(tmp_path / f"{name}.png") as image:
                (prepared,) = classifier.prepare(image)
                np.testing.assert_array_equal(prepared.numpy(), inputs[name])
                (prediction,) = classifier.classify([image])
            assert answers[name].std() > 0.05
            difference = np.abs(prediction.values - answers[name]).max()
            print(kind, name, difference)
            assert difference < 1e-5


@pytest.mark.parametrize("spec", [jtp.SPEC, *jtp.SPEC.variants], ids=lambda spec: spec.id)
def test_a_tag_counts_from_the_card_s_threshold(spec: ModelSpec) -> None:
    """0.2, as https://huggingface.co/RedRocket/JointTaggerProject recommends."""
    labels = Labels(("long_hair", "solo", "male"))
    found = Prediction(spec.id, labels, np.array([0.2001, 0.1999, 0.9], np.float32))
    caption = CaptionWriter(CaptionRecipe(), taggers([spec]))([found])
    assert caption.text == "male, long hair"
