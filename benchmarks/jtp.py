"""JTP on the CPU against a plain loop: timm's net, one picture at a time, eager float32. Random weights at full width.

python -m keepers.benchmarks jtp
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any, cast

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_model, save_file
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms import functional as TF

from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.spec import Precision
from keepers.core.weights.store import WeightStore
from keepers.models import jtp

from .timing import interleaved

ARCHITECTURE = "vit_so400m_patch14_siglip_384"
IMAGES = 3
ROUNDS = 3
THRESHOLD = 0.2
PRECISIONS: tuple[Precision, ...] = ("exact", "fast")


def main() -> None:
    """Print load times, images a second, and how far the answers differ."""
    images = [picture(seed) for seed in range(IMAGES)]
    with TemporaryDirectory() as folder:
        path = Path(folder) / jtp.PILOT.name
        write_weights(path)
        plain_net, plain_load = timed(lambda: load_plain(path))
        ours = {precision: timed(partial(load, path.parent, precision)) for precision in PRECISIONS}
        plain = [plain_answer(plain_net, image) for image in images]
        for precision, (classifier, seconds) in ours.items():
            ratio = plain_load / seconds
            print(f"load {precision:5} {seconds:6.2f} s, create_model and load_model {plain_load:.2f} s, {ratio:.1f}x")
            tell_answers(precision, classifier, images, plain)
        works = {"plain": lambda: [plain_answer(plain_net, image) for image in images]}
        works |= {name: lambda c=classifier: answers(c, images) for name, (classifier, _) in ours.items()}
        times = interleaved(works, ROUNDS)
    for name, seconds in times.items():
        rate, ratio = IMAGES / seconds, times["plain"] / seconds
        print(f"run  {name:5} {rate:.3f} images a second, {ratio:.2f}x the plain loop")


def picture(seed: int) -> Image.Image:
    """1024 x 1536, as generators make them."""
    coarse = np.random.RandomState(seed).randint(0, 256, (12, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((1024, 1536), Image.Resampling.BICUBIC)


@torch.no_grad()
def write_weights(path: Path) -> None:
    """Random weights in the published layout; about 2 in 100 tags come out above the threshold."""
    net = timm.create_model(ARCHITECTURE, num_classes=9083)
    torch.manual_seed(0)
    for name, value in net.named_parameters():
        if value.ndim > 1:
            value.normal_(0, (1.2 / value[0].numel()) ** 0.5)
        elif name.endswith("weight"):
            value.uniform_(0.8, 1.2)
        else:
            value.normal_(0, 0.1)
    net.get_parameter("head.bias").normal_(-4, 1)
    save_file(net.state_dict(), path)


def load_plain(path: Path) -> torch.nn.Module:
    """The net, loaded as the published code does."""
    net = timm.create_model(ARCHITECTURE, pretrained=False, num_classes=9083)
    load_model(net, str(path))
    return net.eval()


def load(folder: Path, precision: Precision) -> Classifier:
    """The same file in Keepers."""
    return Classifier.load(jtp.SPEC, WeightStore([folder]), Runtime(device="cpu"), precision)


def timed(work: Any) -> tuple[Any, float]:
    """What a piece of work returns, and its seconds."""
    start = perf_counter()
    result = work()
    return result, perf_counter() - start


@torch.no_grad()
def plain_answer(net: torch.nn.Module, image: Image.Image) -> np.ndarray[Any, np.dtype[np.float32]]:
    """The published steps, one picture at a time."""
    image = image.convert("RGBA")
    scale = min(384 / image.height, 384 / image.width)
    size = [min(round(side * scale), 384) for side in (image.height, image.width)]
    x = TF.to_tensor(cast("Any", TF.resize)(image, size, InterpolationMode.LANCZOS))
    x = x[:3] * x[3:] + (1.0 - x[3:]) * 0.5
    x = v2.CenterCrop(384)(TF.normalize(x, [0.5] * 3, [0.5] * 3))
    return torch.sigmoid(net(x[None]))[0].numpy()


def answers(classifier: Classifier, images: Sequence[Image.Image]) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """Ours, two at a time."""
    found = []
    for start in range(0, len(images), classifier.network.batch):
        found += classifier.classify(images[start : start + classifier.network.batch])
    return [prediction.values for prediction in found]


def tell_answers(precision: str, classifier: Classifier, images: Sequence[Image.Image], plain: Sequence[Any]) -> None:
    """Print how far ours are from the plain ones, and how many decisions at the threshold stay the same."""
    ours, theirs = np.stack(answers(classifier, images)), np.stack(plain)
    same = ((ours >= THRESHOLD) == (theirs >= THRESHOLD)).mean()
    above = (theirs >= THRESHOLD).mean()
    print(f"     {precision:5} largest difference {np.abs(ours - theirs).max():.1e}; {same:.3%} of the decisions the")
    print(f"           same, of which {above:.1%} are above {THRESHOLD}; tolerance {classifier.network.tolerance}")


if __name__ == "__main__":
    main()
