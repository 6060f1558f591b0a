"""Runs the original ARNIQA, in its own environment, on pictures and weights from fixed seeds.

    python arniqa_original.py CHECKOUT OUT.npz --pictures FOLDER [--regressors FOLDER]

`--regressors` also writes the regressors, as TorchScript, which is how they are published. The five crops are cut by
torchvision as the original's script cuts them. It needs torch and torchvision.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

sys.path.insert(0, str(Path(__file__).parent))
from faramir_pictures import random_tensor, write_pictures  # pyright: ignore[reportMissingImports]

NAMES = ("rgb-512x512.png", "rgb-301x203.png", "rgb-1000x333.png", "alpha.png")


class Ridge(torch.nn.Module):
    """A linear regressor with the published names; what its code is called in the published files is not known."""

    def __init__(self, data_set: str, low: float, high: float) -> None:
        super().__init__()
        weights = random_tensor(f"regressor.{data_set}", (1, 4096)) * (high - low) * 20
        self.weights = torch.nn.Parameter(torch.from_numpy(weights.astype(np.float32)))
        self.biases = torch.nn.Parameter(torch.tensor((low + high) / 2.0))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weights.T + self.biases


def original(checkout: Path, data_set: str, regressor: torch.nn.Module) -> torch.nn.Module:
    """The original's model with seeded weights in place of its downloads."""
    sys.path.insert(0, str(checkout))
    import hubconf  # pyright: ignore[reportMissingImports]

    create = torchvision.models.resnet50

    def download(url: str, **_: object) -> object:
        if "regressor" in url:
            return regressor
        with mock.patch("models.resnet.resnet50", side_effect=lambda **_: create()):
            shapes = {k: tuple(v.shape) for k, v in hubconf.ResNet(128).state_dict().items()}
        return {k: torch.from_numpy(random_tensor(f"arniqa.{k}", shape)) for k, shape in shapes.items()}

    with (
        mock.patch("models.resnet.resnet50", side_effect=lambda **_: create()),
        mock.patch.object(torch.hub, "load_state_dict_from_url", download),
    ):
        return hubconf.ARNIQA(data_set).eval()


def crops(picture: Image.Image) -> torch.Tensor:
    """Centre and corners as in the original's utils_data.py, which cannot be imported without its many distortions."""
    width, height = picture.size
    x, y = width // 2 - 112, height // 2 - 112
    places = ((y, x), (0, 0), (height - 224, 0), (0, width - 224), (height - 224, width - 224))
    normalize = transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225])
    return normalize(torch.stack([functional.to_tensor(functional.crop(picture, *at, 224, 224)) for at in places]))  # pyright: ignore[reportArgumentType]


@torch.inference_mode()
def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--regressors", type=Path)
    options = parser.parse_args()
    write_pictures(options.pictures, only=NAMES)
    sys.path.insert(0, str(options.checkout))
    import hubconf  # pyright: ignore[reportMissingImports]

    found: dict[str, list[float]] = {name: [] for name in NAMES}
    for data_set, (low, high) in hubconf.available_datasets_ranges.items():
        regressor = Ridge(data_set, low, high)
        if options.regressors:
            options.regressors.mkdir(parents=True, exist_ok=True)
            torch.jit.script(regressor).save(str(options.regressors / f"regressor_{data_set}.pth"))  # pyright: ignore[reportFunctionMemberAccess]
        net = original(options.checkout, data_set, regressor)
        for name in NAMES:
            picture = Image.open(options.pictures / name).convert("RGB")
            half = transforms.Resize((picture.size[1] // 2, picture.size[0] // 2))(picture)
            found[name].append(net(crops(picture), crops(half)).mean(0).item())
    print(found)
    np.savez(options.out, **{name: np.asarray(values, dtype=np.float32) for name, values in found.items()})


if __name__ == "__main__":
    main()
