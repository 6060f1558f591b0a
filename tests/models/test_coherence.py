"""coherence gives fastai's numbers, from every form in which its file may come."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL import __version__ as pillow_version
from safetensors.torch import save_file

from keepers.core.errors import WrongWeights
from keepers.core.heatmaps.heatmap import heatmaps, scaled
from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec
from keepers.core.weights.store import WeightStore
from keepers.models.coherence import CROP, SPEC, SQUASH
from keepers.tests.parity.coherence_original import picture
from keepers.tests.random_weights import random_weights
from keepers.tests.rounding import rounding

GOLDEN = json.loads((Path(__file__).parents[1] / "data" / "coherence" / "golden.json").read_text())
SAME_PILLOW = pillow_version.split(".")[0] == GOLDEN["versions"]["pillow"].split(".")[0]
"""Pillow 13 resizes some upright pictures a little differently from its forerunners."""

ROUNDING = rounding(36, 2100) / 2
"""A ResNet-34, with sums of 2100 products on the average; a softmax is at most 1/2 steep."""


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    arrays = random_weights({name: tuple(shape) for name, shape in GOLDEN["shapes"].items()})
    arrays["1.8.weight"] *= 0.03
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


@pytest.fixture(scope="module")
def folder(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "coherence").mkdir()
    save_file(weights, folder / "coherence" / "coherence_model.safetensors")
    return folder


def load(folder: Path, precision: Any = "exact", spec: ModelSpec = SPEC) -> Classifier:
    return Classifier.load(spec, WeightStore([folder]), Runtime(device="cpu"), precision)


@pytest.fixture(scope="module")
def exact(folder: Path) -> Classifier:
    return load(folder)


def assert_same(one: Classifier, other: Classifier) -> None:
    """Equal up to rounding: where a tensor lies in its file decides which way the processor adds."""
    image = picture(90, 90, 1)
    np.testing.assert_allclose(
        one.classify([image])[0].values, other.classify([image])[0].values, rtol=0, atol=ROUNDING
    )


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: "x".join(map(str, case["size"])))
def test_equals_fastai(exact: Classifier, case: dict[str, Any]) -> None:
    width, height = case["size"]
    image = picture(width, height, case["seed"])
    view = exact.prepare(image)[0]
    assert abs(float(view.mean()) - case["view_mean"]) < (1e-6 if SAME_PILLOW else 1e-4)
    prediction = exact.classify([image])[0]
    np.testing.assert_allclose(prediction.values, case["values"], atol=2e-5 if SAME_PILLOW else 0.01)
    assert prediction.labels.names == ("coherent", "incoherent", "semi-incoherent")
    assert prediction.label == prediction.labels.names[int(np.argmax(case["values"]))]
    assert prediction.tolerance == 0


def test_view_has_the_bits_of_torchvision() -> None:
    from torchvision import transforms

    steps = [transforms.Resize((224, 224)), transforms.ToTensor()]
    original: Any = transforms.Compose([*steps, transforms.Normalize(SQUASH.mean, SQUASH.std)])
    cropped: Any = transforms.Compose(
        [transforms.Resize(224), transforms.CenterCrop(224), steps[1], transforms.Normalize(SQUASH.mean, SQUASH.std)]
    )
    for seed, size in enumerate([(300, 200), (97, 512), (224, 224), (33, 20), (1, 300)]):
        image = picture(*size, seed)
        assert torch.equal(SQUASH(image), original(image))
        assert torch.equal(CROP(image), cropped(image))


def test_transparency_is_dropped_as_in_the_original() -> None:
    image = picture(64, 64, 3)
    hidden = image.copy()
    hidden.putalpha(Image.new("L", (64, 64), 0))
    assert torch.equal(SQUASH(image), SQUASH(hidden))


def test_a_batch_equals_single_images(exact: Classifier) -> None:
    images = [picture(100 + 40 * n, 120, n) for n in range(3)]
    together = exact.classify(images)
    for image, prediction in zip(images, together, strict=True):
        np.testing.assert_allclose(exact.classify([image])[0].values, prediction.values, rtol=0, atol=ROUNDING)


def test_fast_stays_within_its_tolerance(exact: Classifier, folder: Path) -> None:
    fast = load(folder, "fast")
    images = [picture(200, 150 + 30 * n, n) for n in range(6)]
    for coarse, fine in zip(fast.classify(images), exact.classify(images), strict=True):
        assert coarse.tolerance == 1
        assert np.abs(coarse.values - fine.values).max() <= coarse.drift("coherent") < 0.2


@pytest.mark.parametrize("prefix", ["model.", "module.net."])
def test_a_prefix_is_stripped(weights: dict[str, torch.Tensor], prefix: str, tmp_path: Path, exact: Classifier) -> None:
    save_file({prefix + name: tensor for name, tensor in weights.items()}, tmp_path / "coherence_model.safetensors")
    assert_same(load(tmp_path), exact)


def test_names_of_torchvision_are_understood(
    weights: dict[str, torch.Tensor], tmp_path: Path, exact: Classifier
) -> None:
    names = {"0": "conv1", "1": "bn1", "4": "layer1", "5": "layer2", "6": "layer3", "7": "layer4"}

    def renamed(name: str) -> str:
        part, rest = name.split(".", 1)
        if part == "1":
            return f"head.{rest}"
        number, rest = rest.split(".", 1)
        return f"body.{names[number]}.{rest}"

    save_file({renamed(name): tensor for name, tensor in weights.items()}, tmp_path / "coherence_model.safetensors")
    assert_same(load(tmp_path), exact)


def test_a_state_dict_in_the_older_file_serves_too(
    weights: dict[str, torch.Tensor], tmp_path: Path, exact: Classifier
) -> None:
    torch.save(weights, tmp_path / "coherence_model.pth")
    assert_same(load(tmp_path), exact)


def test_counters_of_batches_are_optional(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    kept = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    save_file(kept, tmp_path / "coherence_model.safetensors")
    assert load(tmp_path).classify([picture(50, 50, 0)])[0].label


def test_wrong_weights_are_named(weights: dict[str, torch.Tensor], tmp_path: Path) -> None:
    wrong = {name: tensor for name, tensor in weights.items() if name != "0.4.0.conv1.weight"}
    wrong["0.surprise"] = torch.zeros(1)
    save_file(wrong, tmp_path / "coherence_model.safetensors")
    with pytest.raises(WrongWeights) as caught:
        load(tmp_path)
    assert "0.4.0.conv1.weight" in str(caught.value)
    assert "surprise" in str(caught.value)


def test_weights_of_another_model_are_refused(tmp_path: Path) -> None:
    save_file({"blocks.0.attn.weight": torch.zeros(3, 3)}, tmp_path / "coherence_model.safetensors")
    with pytest.raises(WrongWeights, match="no fastai ResNet"):
        load(tmp_path)


def test_stays_differentiable_when_loaded_in_a_hosts_inference_mode(folder: Path) -> None:
    with torch.inference_mode():
        classifier = load(folder)
    view = classifier.prepare(picture(64, 64, 0))[0][None].clone().requires_grad_()
    classifier.network.module(view)[0, 0].backward()
    assert view.grad is not None
    assert view.grad.abs().sum() > 0


def test_the_variant_sees_a_crop(folder: Path) -> None:
    crop = load(folder, spec=SPEC.variants[0])
    assert crop.spec.id == "coherence:crop"
    assert crop.network.views == (CROP,)
    assert crop.fingerprint != load(folder).fingerprint


@pytest.mark.parametrize("method", ["grad-cam", "smooth"])
def test_the_heatmap_is_grad_cam_through_the_head(exact: Classifier, method: Any) -> None:
    image = picture(90, 120, 1)
    (found,) = heatmaps(exact, [image], "incoherent", method)
    assert found.label == "incoherent"
    assert found.region == (0, 0, 90, 120)
    assert np.allclose(found.prediction.values, exact.classify([image])[0].values, atol=ROUNDING)
    if method == "grad-cam":
        net: Any = exact.network.module
        maps = net[0](exact.prepare(image)[0][None]).detach().requires_grad_()
        net[1](maps)[0, 1].backward()
        weighted = (maps * maps.grad.mean((2, 3), keepdim=True)).sum(1).relu().detach()
        assert np.allclose(found.values, scaled(weighted)[0].numpy(), atol=1e-3)
