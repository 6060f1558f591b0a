"""Records what fastai's own ResNet-34 learner says, for tests/models/test_coherence.py.

Run by hand in an environment with fastai:  python tests/parity/coherence_original.py
The weights are made by tests/random_weights.py, the pictures by `picture` below; nothing of the original is kept.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from PIL import __version__ as pillow_version
from torchvision import transforms

SIZES = ((300, 200), (224, 224), (97, 512), (640, 640), (33, 20))
OUT = Path(__file__).parent.parent / "data" / "coherence" / "golden.json"


def picture(width: int, height: int, seed: int) -> Image.Image:
    """Random blocks, smooth and coarse: every scale of the picture matters."""
    random = np.random.RandomState(seed)
    coarse = Image.fromarray(random.randint(0, 256, (9, 7, 3)).astype(np.uint8)).resize((width, height), Image.NEAREST)
    fine = random.randint(-30, 30, (height, width, 3))
    return Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8))


def main() -> None:
    """Write the golden file."""
    sys.path.insert(0, str(Path(__file__).parent.parent))  # here alone: tests import this file for its pictures
    import fastai
    from fastai.vision.all import create_vision_model, resnet34
    from random_weights import random_weights

    model = create_vision_model(resnet34, 3, pretrained=False).eval()
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    weights = random_weights(shapes)
    weights["1.8.weight"] *= 0.03  # so that the classes stay apart without being certain
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    # the published application's own steps: squash, to tensor, normalise, softmax
    steps = [transforms.Resize((224, 224)), transforms.ToTensor()]
    steps.append(transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    prepare = transforms.Compose(steps)
    cases = []
    for seed, (width, height) in enumerate(SIZES):
        view = prepare(picture(width, height, seed).convert("RGB"))
        with torch.no_grad():
            values = model(view[None]).softmax(1)[0]
        cases.append(
            {"seed": seed, "size": [width, height], "view_mean": float(view.mean()), "values": values.tolist()}
        )
    versions = {"fastai": fastai.__version__, "torch": torch.__version__, "pillow": pillow_version}
    OUT.write_text(json.dumps({"versions": versions, "shapes": shapes, "cases": cases}, indent=1) + "\n")


if __name__ == "__main__":
    main()
