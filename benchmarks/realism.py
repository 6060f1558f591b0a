"""Realism: training against the study's own loop, inference and heatmaps against plain ones, as ratios in one run.

    python -m keepers.benchmarks.realism [train] [infer] [heatmap]

`heatmap` also compares with torch-cam where that is installed.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn, optim
from torchvision import transforms
from torchvision.models import resnet18

from keepers.core.heatmaps.heatmap import Method, scaled
from keepers.models.realism.net import BasicDetector, Detector, ResNetDetector, from_torchvision
from keepers.models.realism.view import Window
from keepers.train.realism.loop import Training, TrainingData
from keepers.train.realism.pixels import decoded_pictures
from keepers.train.realism.recipe import PRESETS, DetectorPreset

from .timing import interleaved

FILES, BATCH, SIDE, ROUNDS = 48, 16, 1024, 5


def write_files(folder: Path, form: str) -> dict[str, list[Path]]:
    """Two classes of 1024 x 1024 files: JPEG as the study's DALL-E images, or PNG as its Stable Diffusion images."""
    random = np.random.RandomState(0)
    found = {"ai": [folder / "ai"], "real": [folder / "real"]}
    for (path,) in found.values():
        path.mkdir(parents=True)
        for number in range(FILES // 2):
            coarse = Image.fromarray(random.randint(0, 256, (64, 64, 3)).astype(np.uint8))
            fine = random.randint(-6, 7, (SIDE, SIDE, 3))
            pixels = np.asarray(coarse.resize((SIDE, SIDE), Image.Resampling.BICUBIC)) + fine
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path / f"{number}q.{form}", quality=92)
    return found


class Original(torch.utils.data.Dataset[tuple[Any, int]]):
    """The study's data set: each access opens, decodes and crops the image again."""

    def __init__(self, folders: Mapping[str, list[Path]], window: Window) -> None:
        named = enumerate(folders.values())
        self.files = [(path, label) for label, (folder,) in named for path in sorted(folder.iterdir())]
        steps = [transforms.Grayscale(num_output_channels=3), transforms.CenterCrop(window.size), transforms.ToTensor()]
        self.transform = transforms.Compose([*steps, transforms.Normalize(list(window.mean), list(window.std))])

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, place: int) -> tuple[Any, int]:
        path, label = self.files[place]
        return self.transform(Image.open(path)), label


def original_epoch(net: nn.Module, data: Original) -> Callable[[], None]:
    """One epoch of the study's loop; like its DataLoader, without workers."""
    loss_of, optimizer = nn.CrossEntropyLoss(), optim.SGD(net.parameters(), lr=0.001, momentum=0.9)

    def epoch() -> None:
        net.train()
        for inputs, labels in torch.utils.data.DataLoader(data, batch_size=BATCH, shuffle=True):
            optimizer.zero_grad()
            outputs = net(inputs)
            loss = loss_of(outputs, labels)
            loss.backward()
            optimizer.step()
            _ = (outputs.max(1)[1] == labels).float().sum(), loss.item()

    return epoch


def our_epoch(training: Training) -> Callable[[], None]:
    """One epoch of ours, without validation, since the study's loop has none."""

    def epoch() -> None:
        training.net.train()
        order = np.random.RandomState(0).permutation(training.data.train)
        for step in range(training.steps):
            training.step(order[step * BATCH : (step + 1) * BATCH], (0, 0, step))

    return epoch


def trainings(name: str, folder: Path, folders: Mapping[str, list[Path]]) -> dict[str, Callable[[], None]]:
    """Both loops over the same files, for the net of a preset."""
    preset: DetectorPreset = PRESETS[name]
    found = decoded_pictures(folders, preset.window, 0, folder / name, force=False, progress=lambda *_: None, threads=2)
    labels = np.array([sample.label for sample in found.collected.samples])
    everything = np.arange(len(labels))
    data = TrainingData(found.pixels, labels, 0, preset.window, everything, everything[:4], 2)
    theirs = resnet18(num_classes=2) if preset.shape.kind == "resnet" else BasicDetector(10, size=preset.window.size)
    ours = ResNetDetector(2) if preset.shape.kind == "resnet" else BasicDetector(10, size=preset.window.size)
    training = Training(ours, data, replace(preset.recipe, batch=BATCH))
    return {"study": original_epoch(theirs, Original(folders, preset.window)), "ours": our_epoch(training)}


def measure_training() -> None:
    """Images a second of both loops."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in ("jpg", "png"):
            folders = write_files(folder / form, form)
            for preset in ("study", "study-cnn"):
                times = interleaved(trainings(preset, folder / form, folders), ROUNDS)
                theirs, ours = (FILES / times[which] for which in ("study", "ours"))
                print(f"train {preset}, {form}: study {theirs:.1f}, ours {ours:.1f} images/s, {ours / theirs:.2f} x")


def pair() -> tuple[nn.Module, ResNetDetector]:
    """torchvision's ResNet-18 and ours with the same weights."""
    theirs = resnet18(num_classes=2).eval()
    ours = ResNetDetector(2).eval()
    last = {f"fc.{name}": tensor for name, tensor in theirs.fc.state_dict().items()}
    ours.load_state_dict({**from_torchvision(theirs.state_dict()), **last})
    return theirs, ours.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  torch's stub


def measure_inference() -> None:
    """A forward pass against torchvision's net as it comes."""
    theirs, ours = pair()
    exact, fast = Detector(ours, 2).eval(), Detector(pair()[1], 2).eval().in_low_precision()
    for batch in (1, 8):
        pixels = torch.randn(batch, 3, 224, 224)
        with torch.inference_mode():
            works = {
                name: lambda net=net, pixels=pixels: net(pixels)
                for name, net in (("plain", theirs), ("exact", exact), ("fast", fast))
            }
            times = interleaved(works, ROUNDS * 3)
        print(
            f"infer batch {batch}: plain {batch / times['plain']:.1f} images/s, "
            f"exact {times['plain'] / times['exact']:.2f} x, fast {times['plain'] / times['fast']:.2f} x"
        )


def measure_heatmaps() -> None:
    """What a map costs on top of an answer, and SmoothGradCAM++ against torch-cam's."""
    theirs, ours = pair()
    detector = Detector(ours, 2).eval()
    for batch in (1, 8):
        pixels = torch.randn(batch, 3, 224, 224)

        def mapped(method: Method, pixels: torch.Tensor = pixels) -> torch.Tensor:
            return scaled(detector.heatmap(pixels, targets=None, method=method)[2])

        with torch.inference_mode():
            works = {
                "answer": lambda pixels=pixels: detector(pixels),
                "closed": lambda mapped=mapped: mapped("grad-cam"),
                "smooth": lambda mapped=mapped: mapped("smooth"),
            }
            times = interleaved(works, ROUNDS * 3)
        more = times["closed"] / times["answer"] - 1
        smooth = times["smooth"] / times["answer"]
        print(f"heatmap batch {batch}: closed form {more:+.1%}, smooth {smooth:.2f} x an answer")
    if importlib.util.find_spec("torchcam"):
        measure_torchcam(theirs, detector)


def measure_torchcam(theirs: nn.Module, detector: Detector) -> None:
    """One picture, as the study's notebook did."""
    from torchcam.methods import SmoothGradCAMpp  # pyright: ignore[reportMissingImports]  only where it is installed

    extractor = SmoothGradCAMpp(theirs, target_layer="layer4")
    pixels = torch.randn(1, 3, 224, 224)

    def by_torchcam() -> object:
        out = theirs(pixels)
        return extractor(int(out.argmax()), out)

    def by_us() -> object:
        with torch.inference_mode():
            return scaled(detector.heatmap(pixels, targets=None, method="smooth")[2])

    times = interleaved({"torch-cam": by_torchcam, "ours": by_us}, ROUNDS * 3)
    print(f"SmoothGradCAM++: ours {times['torch-cam'] / times['ours']:.2f} x torch-cam's speed")


def main() -> None:
    """Measure what the arguments name, or all."""
    works = {"train": measure_training, "infer": measure_inference, "heatmap": measure_heatmaps}
    for name in [name for name in sys.argv[1:] if name in works] or works:
        works[name]()


if __name__ == "__main__":
    main()
