"""Heatmaps: the closed form equals the gradient, inference mode does not matter, and the map lies where it should."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from keepers.core.errors import NotExplainable, UnknownName
from keepers.core.heatmaps.colour_map import TABLE
from keepers.core.heatmaps.grad_cam import (
    grad_cam,
    head_gradient,
    linear_cam,
    linear_gradient,
    noise_like,
    smooth_grad_cam_pp,
)
from keepers.core.heatmaps.heatmap import METHODS, Heatmap, Region, coloured, heatmaps, overlay, scaled
from keepers.core.judging.classifier import Classifier
from keepers.core.prediction import Labels, Prediction, argmax_label
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec, Network
from keepers.models.realism.net import BasicDetector, Detector, Probe, ResNetDetector
from keepers.models.realism.view import Window
from keepers.tests.random_weights import random_weights
from keepers.tests.rounding import rounding


def filled(net: torch.nn.Module) -> torch.nn.Module:
    shapes = {name: tuple(tensor.shape) for name, tensor in net.state_dict().items()}
    net.load_state_dict({name: torch.from_numpy(array) for name, array in random_weights(shapes).items()})
    return net.eval()


def classifier(net: ResNetDetector | BasicDetector | Probe, view: Window) -> Classifier:
    labels = Labels(("real", "ai"))
    network = Network(Detector(net, 2), labels, (view,), lambda values: argmax_label(labels, values))
    spec = ModelSpec("realism", "", "", "", "", lambda _given: network)
    return Classifier(spec, network, "", Runtime(device="cpu"), torch.device("cpu"))


def resnet() -> ResNetDetector:
    net = filled(ResNetDetector(2, blocks=(1, 1, 1, 1), width=8))
    assert isinstance(net, ResNetDetector)
    return net


def basic(size: int) -> BasicDetector:
    """With dense layers of positive means: gradients of one sign leave SmoothGradCAM++ no difference to divide by."""
    net = filled(BasicDetector(10, size=size))
    assert isinstance(net, BasicDetector)
    with torch.no_grad():
        for layer in (net.fc1, net.fc2, net.fc3):
            layer.weight.abs_().div_(layer.weight.sum(1, keepdim=True))
    return net


def noise_picture(seed: int, width: int = 120, height: int = 100) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8))


def test_the_closed_form_is_the_gradient_of_the_whole_net() -> None:
    net, pixels = resnet(), torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 1])
    maps = net.body(pixels)
    maps.retain_grad()
    net.head(maps).gather(1, targets[:, None]).sum().backward()
    assert maps.grad is not None
    by_autograd = F.relu((maps * maps.grad.mean((2, 3), keepdim=True)).sum(1)).detach()
    with torch.inference_mode():
        closed = linear_cam(maps.detach(), net.linear, targets)
        general = grad_cam(maps.detach(), net.head, targets)
    weighted = maps.detach() * maps.grad.mean((2, 3), keepdim=True)
    bound = rounding(1, 64, float(weighted.abs().sum(1).max()))
    assert torch.allclose(closed, by_autograd, atol=bound, rtol=0)
    assert torch.allclose(general, by_autograd, atol=bound, rtol=0)
    assert by_autograd.amax() > 0


def test_constant_gradients_save_runs_and_change_nothing() -> None:
    net, pixels = resnet(), torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([1, 0])
    noise = noise_like(pixels, seed=3)
    runs: list[int] = []

    def body(values: torch.Tensor) -> torch.Tensor:
        runs.append(1)
        return net.body(values)

    with torch.no_grad():
        given = (pixels, net.body(pixels), targets)
        full = smooth_grad_cam_pp(body, lambda maps, at: head_gradient(maps, net.head, at), *given, noise=noise)
        assert len(runs) == 4
        known = partial(linear_gradient, weight=net.linear)
        quick = smooth_grad_cam_pp(body, lambda maps, at: known(maps, targets=at), *given, noise=noise, constant=True)
        assert len(runs) == 5
    assert torch.allclose(full, quick, atol=1e-6, rtol=1e-5) and full.amax() > 0


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", ["resnet", "basic"])
def test_inference_mode_and_batches_change_nothing(kind: str, method: str) -> None:
    net, bound = (resnet(), rounding(10, 64 * 9)) if kind == "resnet" else (basic(64), rounding(5, 16 * 13 * 13))
    asked = classifier(net, Window(64))
    images = [noise_picture(seed) for seed in range(3)]
    together = heatmaps(asked, images, "ai", method)  # pyright: ignore[reportArgumentType]  the parameters are METHODS
    with torch.inference_mode():
        inside = heatmaps(asked, images, "ai", method)  # pyright: ignore[reportArgumentType]
    for image, one, other in zip(images, together, inside, strict=True):
        alone = heatmaps(asked, [image], "ai", method)[0]  # pyright: ignore[reportArgumentType]
        assert np.array_equal(one.values, other.values)
        assert np.allclose(one.values, alone.values, rtol=0, atol=2 * bound), "a difference is divided by a difference"
        assert one.prediction.values == pytest.approx(asked.classify([image])[0].values, rel=0, abs=bound)
        assert one.values.min() >= 0 and one.values.max() <= 1 and one.label == "ai"
    assert not any(value.grad is not None for value in asked.network.module.parameters())


def test_without_a_label_each_picture_speaks_for_its_own_answer() -> None:
    asked = classifier(resnet(), Window(64))
    for found in heatmaps(asked, [noise_picture(seed) for seed in range(4)]):
        assert found.label == found.prediction.label
    assert heatmaps(asked, []) == []


def test_what_has_no_heatmap_says_so() -> None:
    probe = filled(Probe(lambda pixels: pixels.mean((2, 3)), 3, 2))
    assert isinstance(probe, Probe)
    with pytest.raises(NotExplainable, match="linear probe"):
        heatmaps(classifier(probe, Window(64)), [noise_picture(0)])
    with pytest.raises(UnknownName, match="'aii'"):
        heatmaps(classifier(resnet(), Window(64)), [noise_picture(0)], "aii")


def made(values: np.ndarray, region: Region, size: tuple[int, int]) -> Heatmap:
    labels = Labels(("a",))
    return Heatmap(values.astype(np.float32), "a", Prediction("x", labels, np.zeros(1, np.float32)), region, size)


def test_a_map_lies_over_what_was_seen() -> None:
    values = np.zeros((4, 4))
    values[1, 3] = 1
    found = made(values, Region(20, 10, 60, 50), (80, 60))
    whole = found.over()
    assert whole.shape == (60, 80)
    assert whole[:10].max() == 0 and whole[:, :20].max() == 0 and whole[:, 60:].max() == 0
    assert found.peak == (55, 25) and whole[25, 55] > 0.9
    y, x = np.unravel_index(np.argmax(whole), whole.shape)
    assert abs(x - 55) <= 6 and abs(y - 25) <= 6
    half = found.over(40, 30)
    assert half.shape == (30, 40) and half[12, 27] > 0.9


def test_a_map_that_reaches_beyond_a_small_picture_is_cut() -> None:
    values = np.zeros((8, 8))
    values[4, 4] = 1
    found = made(values, Region(-20, -20, 60, 60), (40, 40))
    whole = found.over()
    assert whole.shape == (40, 40)
    y, x = np.unravel_index(np.argmax(whole), whole.shape)
    assert abs(x - 25) <= 6 and abs(y - 25) <= 6


def test_the_overlay_leaves_the_unseen_alone_and_keeps_its_strength() -> None:
    image = noise_picture(1, 80, 60)
    found = made(np.ones((4, 4)), Region(20, 10, 60, 50), (80, 60))
    before, after = np.asarray(image).astype(int), np.asarray(overlay(image, found, 0.25)).astype(int)
    assert np.array_equal(before[:10], after[:10]) and np.array_equal(before[:, 60:], after[:, 60:])
    expected = before[10:50, 20:60] * 0.75 + TABLE[255].astype(int) * 0.25
    assert np.abs(after[10:50, 20:60] - expected).max() <= 1
    assert np.array_equal(np.asarray(overlay(image, found, 0.0)), np.asarray(image))


def test_the_colour_map_is_even_and_rises_in_lightness() -> None:
    linear = np.where(TABLE <= 10, TABLE / 255 / 12.92, ((TABLE / 255 + 0.055) / 1.055) ** 2.4)
    to_cone = np.linalg.inv(
        np.array([[4.0767416621, -3.3077115913, 0.2309699292], [-1.2684380046, 2.6097574011, -0.3413193965],
                  [-0.0041960863, -0.7034186147, 1.7076147010]])
    )  # fmt: skip
    to_lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                       [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    lab = np.cbrt(linear @ to_cone.T) @ to_lab.T
    steps = np.linalg.norm(lab[8::8] - lab[:-8:8], axis=1)
    assert steps.std() / steps.mean() < 0.06
    assert (np.diff(lab[::4, 0]) > 0).all()
    assert coloured(np.array([0.0, 1.0, np.nan, 2.0], np.float32)).tolist() == [
        TABLE[0].tolist(), TABLE[255].tolist(), TABLE[0].tolist(), TABLE[255].tolist(),
    ]  # fmt: skip


def test_a_flat_map_is_scaled_to_nothing() -> None:
    assert scaled(torch.full((1, 3, 3), 5.0)).abs().max() == 0
    found = scaled(torch.tensor([[[1.0, 3.0]], [[0.0, 0.5]]]))
    assert found.tolist() == [[[0.0, pytest.approx(1.0)]], [[0.0, pytest.approx(1.0)]]]
