"""`coherence` against the same net run plainly: eager float32, channels first. The weights are random."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.coherence import SPEC
from keepers.models.nets.coherence import CoherenceNet

from .timing import interleaved


def write_weights(folder: Path) -> None:
    """Write random weights in the published layout, such that the classes are spread and not saturated."""
    torch.manual_seed(0)
    tensors = {name: tensor.clone() for name, tensor in CoherenceNet().state_dict().items()}
    tensors["1.8.weight"] *= 3
    save_file(tensors, folder / "coherence_model.safetensors")


def plain_forward(net: CoherenceNet, views: torch.Tensor) -> torch.Tensor:
    """As a plain program runs it."""
    with torch.no_grad():
        return net[1](net[0](views)).softmax(1)


def main() -> None:
    """Print milliseconds, ratios, and how far `fast` is off."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder)
        exact, fast = (
            Classifier.load(SPEC, WeightStore([folder]), Runtime(device="cpu"), precision)
            for precision in ("exact", "fast")
        )
        reference = CoherenceNet().eval()
        reference.load_state_dict(WeightStore([folder]).tensors(SPEC.weights[0]))
        random = np.random.RandomState(0)
        pictures = [Image.fromarray(random.randint(0, 256, (64, 64, 3)).astype(np.uint8)) for _ in range(8)]
        for batch in (1, 8):
            prepared = [exact.prepare(picture) for picture in pictures[:batch]]
            views = torch.stack([view for (view,) in prepared])
            times = interleaved(
                {
                    "plain": lambda views=views: plain_forward(reference, views),
                    "exact": lambda prepared=prepared: exact.predict(prepared),
                    "fast": lambda prepared=prepared: fast.predict(prepared),
                },
                rounds=15,
            )
            ratios = ", ".join(f"{name} {times['plain'] / times[name]:.2f}x" for name in ("exact", "fast"))
            print(f"batch {batch}: plain {1000 * times['plain']:.0f} ms; {ratios}")
        compare(reference, exact, fast, pictures)


def compare(reference: CoherenceNet, exact: Classifier, fast: Classifier, pictures: list[Image.Image]) -> None:
    """Print how far the values differ, and how many labels stay the same."""
    prepared = [exact.prepare(picture) for picture in pictures]
    plain = plain_forward(reference, torch.stack([view for (view,) in prepared])).numpy()
    for name, classifier in (("exact", exact), ("fast", fast)):
        values = np.stack([prediction.values for prediction in classifier.predict(prepared)])
        same = int((values.argmax(1) == plain.argmax(1)).sum())
        print(f"{name}: largest difference {np.abs(values - plain).max():.1e}, same label {same} of {len(pictures)}")


if __name__ == "__main__":
    main()
