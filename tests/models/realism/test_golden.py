"""Our nets, views, steps and heatmaps give the numbers of the realism study's own code and of torch-cam."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keepers.core.heatmaps.heatmap import scaled
from keepers.models.realism.net import BasicDetector, Detector, ResNetDetector, from_torchvision
from keepers.tests.random_weights import random_weights
from keepers.train.realism.loop import Training, TrainingData
from keepers.train.realism.recipe import PRESETS

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parents[2] / "data" / "realism" / "golden.json").read_text())
PAIRS = 22
NAMES = {"ConvBasic": "study-cnn", "TransferLearning": "study"}


def picture(number: int, label: int) -> Image.Image:
    """As in tests/parity/realism_original.py, which cannot be imported without torch-cam."""
    random = np.random.RandomState(1000 * label + number)
    width, height = ((300, 280), (260, 320), (200, 270), (256, 256))[number % 4]
    coarse = random.randint(0, 256, (7, 9, 3)).astype(np.uint8)
    blocks = Image.fromarray(coarse).resize((width, height), Image.Resampling.NEAREST)
    fine = random.randint(-25, 26, (height, width, 3)) + 12 * label * (np.mgrid[:height, :width].sum(0) % 2)[..., None]
    image = Image.fromarray((np.asarray(blocks) + fine).clip(0, 255).astype(np.uint8))
    return image.convert("L") if number % 7 == 3 else image.convert("RGBA") if number % 7 == 5 else image


def filled(name: str) -> ResNetDetector | BasicDetector:
    if name == "ConvBasic":
        net = BasicDetector(10, size=250)
        shapes = {key: tuple(tensor.shape) for key, tensor in net.state_dict().items()}
        arrays = random_weights(shapes)
        arrays["fc3.weight"] *= 0.1
        net.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
        return net
    from torchvision.models import resnet18

    theirs = resnet18(num_classes=2)
    arrays = random_weights({key: tuple(tensor.shape) for key, tensor in theirs.state_dict().items()})
    arrays["fc.weight"] *= 0.1
    tensors = {key: torch.from_numpy(array) for key, array in arrays.items()}
    net = ResNetDetector(2)
    net.load_state_dict({**from_torchvision(tensors), **{k: v for k, v in tensors.items() if k.startswith("fc.")}})
    return net


def training(name: str) -> Training:
    preset = PRESETS[NAMES[name]]
    pixels = np.stack([preset.window.pixels(picture(n % PAIRS, n // PAIRS)) for n in range(2 * PAIRS)])
    labels = np.arange(2 * PAIRS) // PAIRS
    data = TrainingData(pixels, labels, 0, preset.window, np.arange(2 * PAIRS), np.arange(2), 2)
    return Training(filled(name), data, replace(preset.recipe, batch=4))


@pytest.mark.parametrize("name", NAMES)
def test_ten_steps_of_the_recipe(name: str) -> None:
    made, golden = training(name), GOLDEN[name]
    made.net.train()
    order = np.array(golden["order"])
    losses = [made.step(order[4 * n : 4 * n + 4], (0, 0, n))[0] for n in range(10)]
    assert losses == pytest.approx(golden["losses"], abs=1e-4)
    made.net.eval()
    window = made.data.window
    views = torch.stack([window(picture(*place)) for place in ((0, 0), (1, 0), (0, 1), (5, 1))])
    assert views.mean((1, 2, 3)).tolist() == pytest.approx(golden["view_means"], abs=1e-6)
    with torch.no_grad():
        logits = made.net(views)
    assert logits.flatten().tolist() == pytest.approx(np.ravel(golden["logits"]).tolist(), abs=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_smooth_grad_cam_is_torch_cam_s(name: str) -> None:
    window = PRESETS[NAMES[name]].window
    detector = Detector(filled(name), 2).eval()
    for place, golden in zip(((0, 0), (5, 1)), GOLDEN[name]["smooth"], strict=True):
        with torch.inference_mode():
            values, chosen, maps = detector.heatmap(window(picture(*place))[None], targets=None, method="smooth")
        found = scaled(maps)[0].numpy()
        assert int(chosen) == golden["label"] == int(values.argmax())
        assert list(found.shape) == golden["shape"]
        assert np.abs(found[:: golden["step"], :: golden["step"]] - np.array(golden["cam"])).max() < 1e-4


@pytest.mark.skipif(importlib.util.find_spec("torchcam") is None, reason="torch-cam is not installed")
def test_smooth_grad_cam_beside_an_installed_torch_cam() -> None:
    from torchcam.methods import SmoothGradCAMpp  # pyright: ignore[reportMissingImports]  only where it is installed

    net = filled("TransferLearning").eval()
    assert isinstance(net, ResNetDetector)
    for number in range(3):
        view = PRESETS["study"].window(picture(number, 1))[None]
        extractor = SmoothGradCAMpp(net, target_layer=net.body, input_shape=tuple(view.shape[1:]))
        out = net(view)
        torch.manual_seed(0)
        theirs = extractor(1, out)[0][0]
        extractor.remove_hooks()
        with torch.inference_mode():
            _, _, maps = Detector(net, 2).heatmap(view, targets=torch.tensor([1]), method="smooth")
        assert torch.allclose(scaled(maps)[0], theirs, atol=1e-4)
