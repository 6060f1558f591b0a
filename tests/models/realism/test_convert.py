"""State dicts of the study's own code become detectors that give the numbers of the original nets."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision import transforms
from torchvision.models import resnet18, resnet34
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.core.errors import CorruptWeights, KeepersError, WrongWeights
from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.realism.convert import convert
from keepers.models.registry import REGISTRY
from keepers.tests.random_weights import random_weights


class ConvBasic(nn.Module):
    """The study's small net, as its code writes it."""

    def __init__(self, side: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        return self.fc3(F.relu(self.fc2(x)))


def filled(net: nn.Module, last: str) -> nn.Module:
    arrays = random_weights({key: tuple(tensor.shape) for key, tensor in net.state_dict().items()})
    arrays[last] *= 0.1
    net.load_state_dict({key: torch.from_numpy(array) for key, array in arrays.items()})
    return net.eval()


def seen(image: Image.Image, size: int, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """What the study's transforms show a net."""
    steps = [
        transforms.Grayscale(3),
        transforms.CenterCrop(size),
        transforms.ToTensor(),
        transforms.Normalize(mean, std),
    ]
    return torch.stack([transforms.Compose(steps)(image)])  # pyright: ignore[reportArgumentType]  torchvision's stub


def photo(number: int) -> Image.Image:
    random = np.random.RandomState(number)
    return Image.fromarray(random.randint(0, 256, (240 + 20 * number, 300, 3), dtype=np.uint8))


def answers(folder: Path, name: str) -> list[list[float]]:
    store = WeightStore([folder])
    net = Classifier.load(REGISTRY.spec(f"realism:{name}", store), store, Runtime(device="cpu"), "exact")
    return [prediction.values.tolist() for prediction in net.classify([photo(n) for n in range(3)])]


IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def wrapped(net: nn.Module, how: str) -> Any:
    plain = net.state_dict()
    parallel = {f"module.{key}": tensor for key, tensor in plain.items()}
    return {
        "plain": plain,
        "parallel": parallel,
        "checkpoint": {"epoch": 14, "state_dict": parallel, "optimizer": {"lr": 0.001}},
        "model": {"model": plain, "loss": 0.2},
        "whole": net,
        "inside": {f"net.{key}": tensor for key, tensor in plain.items()},
    }[how]


@pytest.mark.parametrize("how", ["plain", "parallel", "checkpoint", "model", "whole", "inside"])
def test_a_resnet18_gives_the_numbers_of_the_original(tmp_path: Path, how: str) -> None:
    net = filled(resnet18(num_classes=2), "fc.weight")
    torch.save(wrapped(net, how), tmp_path / "resnet18.pth")
    convert(tmp_path / "resnet18.pth", tmp_path / "realism" / "a.safetensors", "resnet18", ["real", "ai"])
    with torch.inference_mode():
        expected = [net(seen(photo(n), 224, *IMAGENET)).softmax(1)[0].tolist() for n in range(3)]
    assert np.allclose(answers(tmp_path, "a"), expected, atol=1e-5)
    assert REGISTRY.spec("realism:a", WeightStore([tmp_path])).labels().names == ("real", "ai")  # pyright: ignore[reportOptionalCall]


@pytest.mark.parametrize(("side", "size"), [(59, 250), (53, 224)])
def test_convbasic_gives_the_numbers_of_the_original(tmp_path: Path, side: int, size: int) -> None:
    net = filled(ConvBasic(side), "fc3.weight")
    torch.save({f"module.{key}": tensor for key, tensor in net.state_dict().items()}, tmp_path / "basic.pth")
    convert(tmp_path / "basic.pth", tmp_path / "realism" / "b.safetensors", "basic", ["dalle", "real"])
    with torch.inference_mode():
        expected = [net(seen(photo(n), size, *HALVES))[:, :2].softmax(1)[0].tolist() for n in range(3)]
    assert np.allclose(answers(tmp_path, "b"), expected, atol=1e-5)


def refused(tmp_path: Path, content: Any, net: Any, classes: list[str]) -> KeepersError:
    torch.save(content, tmp_path / "x.pth")
    with pytest.raises(KeepersError) as error:
        convert(tmp_path / "x.pth", tmp_path / "out.safetensors", net, classes)
    assert not (tmp_path / "out.safetensors").exists()
    return error.value


def test_what_does_not_fit_is_refused_with_a_reason(tmp_path: Path) -> None:
    small: Mapping[str, Tensor] = resnet18(num_classes=2).state_dict()
    assert "2 outputs, and --classes names 3" in str(refused(tmp_path, small, "resnet18", ["a", "b", "c"]))
    assert "two or more different names" in str(refused(tmp_path, small, "resnet18", ["a", "a"]))
    assert "--net resnet18" in str(refused(tmp_path, small, "basic", ["a", "b"]))
    assert "--net basic" in str(refused(tmp_path, ConvBasic(53).state_dict(), "resnet18", ["a", "b"]))
    large = refused(tmp_path, resnet34(num_classes=2).state_dict(), "resnet18", ["a", "b"])
    assert isinstance(large, WrongWeights)
    assert any(name.startswith("layer3.5") for name in large.unexpected)
    assert "reads none of" in str(refused(tmp_path, ConvBasic(50).state_dict(), "basic", ["a", "b"]))
    broken = {**small, "fc.bias": torch.tensor([0.0, float("nan")])}
    assert isinstance(refused(tmp_path, broken, "resnet18", ["a", "b"]), CorruptWeights)


class Hostile:
    def __reduce__(self) -> Any:
        return os.mkdir, ("pwned",)


def test_no_pickle_is_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(tmp_path, {"model": Hostile()}, "resnet18", ["a", "b"])
    content = {**resnet18(num_classes=2).state_dict(), "more": Hostile()}
    torch.save(content, tmp_path / "x.pth")
    convert(tmp_path / "x.pth", tmp_path / "out.safetensors", "resnet18", ["a", "b"])
    assert not (tmp_path / "pwned").exists()


def invoke(*arguments: str, expected: int = 0) -> str:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, ["convert", *arguments])
    assert done.exit_code == expected, done.output
    return done.output


def test_the_command_writes_into_the_model_folder(tmp_path: Path) -> None:
    torch.save(filled(resnet18(num_classes=2), "fc.weight").state_dict(), tmp_path / "resnet18 (1).pth")
    line = ("realism", str(tmp_path / "resnet18 (1).pth"), "--models", str(tmp_path / "m"))
    assert "--net and --classes" in invoke(*line, expected=1)
    told = invoke(*line, "--net", "resnet18", "--classes", "real, ai")
    assert "realism:resnet18-1" in told
    assert (tmp_path / "m" / "realism" / "resnet18-1.safetensors").exists()
    assert "already exists" in invoke(*line, "--net", "resnet18", "--classes", "real,ai", expected=1)
    assert "for realism alone" in invoke("furry", "x.zip", "--net", "resnet18", expected=1)
