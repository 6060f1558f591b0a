"""Records what the realism study's own code says, for tests/models/realism/test_golden.py.

Run by hand with torch, torchvision and torchcam, given a checkout of cpondoc/diffusion-model-analysis:
    python tests/parity/realism_original.py CHECKOUT
Its nets, transforms, data set and recipe run as they are; weights come from tests/random_weights.py, pictures from
`picture` below; nothing of the original is kept. Its notebook trains on CUDA only, so its loop is spelled out here.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import torchcam
import torchvision
from PIL import Image
from PIL import __version__ as pillow_version
from torch import nn, optim
from torchcam.methods import SmoothGradCAMpp
from torchvision import transforms

sys.path.insert(0, str(Path(__file__).parent.parent))
from random_weights import random_weights

PAIRS, BATCH, STEPS = 22, 4, 10
OUT = Path(__file__).parent.parent / "data" / "realism" / "golden.json"


def picture(number: int, label: int) -> Image.Image:
    """One of a pair, in the forms that files come in: colour, grey, transparent, smaller than the crop."""
    random = np.random.RandomState(1000 * label + number)
    width, height = ((300, 280), (260, 320), (200, 270), (256, 256))[number % 4]
    coarse = Image.fromarray(random.randint(0, 256, (7, 9, 3)).astype(np.uint8)).resize((width, height), Image.NEAREST)
    fine = random.randint(-25, 26, (height, width, 3)) + 12 * label * (np.mgrid[:height, :width].sum(0) % 2)[..., None]
    image = Image.fromarray((np.asarray(coarse) + fine).clip(0, 255).astype(np.uint8))
    return image.convert("L") if number % 7 == 3 else image.convert("RGBA") if number % 7 == 5 else image


def write_pictures() -> None:
    """Lay the files out as the study's data set reads them; PNG content under its endings, so that no pixel is lost."""
    for label, (folder, prefix) in enumerate((("dalle", "dalle-"), ("real", "real-"))):
        Path("dataset", folder).mkdir(parents=True)
        for number in range(PAIRS):
            picture(number, label).save(Path("dataset", folder, f"{prefix}{number:05d}.jpg"), "PNG")


def fill(net: nn.Module, last: str) -> nn.Module:
    """The weights that our test makes too; the last layer small, so that losses are of a size that means something."""
    weights = random_weights({name: tuple(tensor.shape) for name, tensor in net.state_dict().items()})
    weights[last] *= 0.1
    net.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    return net


def run(net: nn.Module, data: object, order: list[int]) -> dict[str, object]:
    """Ten steps of the recipe in a given order, and the answers of the trained net."""
    criterion = nn.CrossEntropyLoss()
    optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, sampler=order)
    losses, net = [], net.train()
    for inputs, labels, _ in loader:
        optimizer.zero_grad()
        loss = criterion(net(inputs), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    with torch.no_grad():
        views = torch.stack([data[place][0] for place in (0, 1, PAIRS, PAIRS + 5)])
        return {"losses": losses, "logits": net.eval()(views).tolist(), "view_means": views.mean((1, 2, 3)).tolist()}


def smooth_cam(net: nn.Module, view: torch.Tensor) -> dict[str, object]:
    """The heatmap as the study's notebook makes it."""
    extractor = SmoothGradCAMpp(net.eval(), input_shape=tuple(view.shape))
    out = net(view[None])
    label = out.squeeze(0)[:2].argmax().item()
    torch.manual_seed(0)
    cam = extractor(label, out)[0][0]
    names = extractor.target_names
    extractor.remove_hooks()
    step = max(1, cam.shape[0] // 14)  # of the small net's 59 x 59 cells every fourth
    return {"label": label, "layer": names, "shape": list(cam.shape), "step": step, "cam": cam[::step, ::step].tolist()}


def main(checkout: Path) -> None:
    """Write the golden file."""
    sys.path.insert(0, str(checkout))
    from models.convbasic import ConvNeuralNet
    from models.transferlearning import load_pretrained_model
    from utilities.dataset import ImageDataset
    from utilities.transforms import data_transforms

    # The crop that its small net needs, and had until a day after its results were made.
    data_transforms["ConvBasic"].transforms[1] = transforms.CenterCrop(250)
    nets = {"ConvBasic": (ConvNeuralNet(), "fc3.weight"), "TransferLearning": (load_pretrained_model(), "fc.weight")}
    found: dict[str, object] = {"versions": versions()}
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        write_pictures()
        for name, (net, last) in nets.items():
            data = ImageDataset("train", data_transforms[name], 1.0, "dalle", "real")
            data.indices = sorted(data.indices)  # it takes the order in which the disk lists them
            order = np.random.RandomState(0).permutation(2 * len(data.indices))[: BATCH * STEPS].tolist()
            count = len(data.indices)
            ids = [[int(data.indices[place % count]), place // count] for place in order]
            data.indices = [f"{number:05d}" for number in range(PAIRS)]
            order = [label * PAIRS + number for number, label in ids]
            filled = fill(net, last)
            maps = [smooth_cam(filled, data[place][0]) for place in (0, PAIRS + 5)]
            found[name] = {"order": order, "smooth": maps, **run(fill(net, last), data, order)}
    OUT.write_text(json.dumps(found, indent=1) + "\n")


def versions() -> dict[str, str]:
    """Of everything that has a say in the numbers."""
    return {
        "torch": torch.__version__,
        "torchvision": torchvision.__version__,
        "torchcam": torchcam.__version__,
        "pillow": pillow_version,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
