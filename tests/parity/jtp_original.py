"""Runs the published inference code of JTP, at full width, on random weights and pictures.

    python jtp_original.py CHECKOUT FOLDER pilot|pilot2

CHECKOUT is one of silveroxides/ComfyUI-RR-JointTagger, whose classes are the authors' own. Written into FOLDER: the
weights under their published name, the pictures, `inputs.npz` and `answers.npz` (by picture name). The host's modules
that the checkout imports are stood in for; nothing of them is used. This file imports nothing of Keepers.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from unittest.mock import MagicMock

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import load_model, save_file
from torchvision.transforms import InterpolationMode

STOOD_IN = ("comfy", "comfy.model_management", "comfy.utils", "unifiedefficientloader", "requests", "tqdm")
NAMES = {"pilot": "JTP_PILOT-e4", "pilot2": "JTP_PILOT2-e3"}
ARCHITECTURE = "vit_so400m_patch14_siglip_384"


def original(checkout: Path) -> tuple[ModuleType, ModuleType]:
    """The checkout's modules for images and for models."""
    for name in STOOD_IN:
        sys.modules.setdefault(name, MagicMock())
    package = ModuleType("original")
    package.__path__ = [str(checkout)]
    sys.modules["original"] = package
    parts = (importlib.import_module(f"original.redrocket.{name}") for name in ("image_manager", "model_manager"))
    return next(parts), next(parts)


def build(models: ModuleType, gated: bool) -> torch.nn.Module:
    net = timm.create_model(f"{ARCHITECTURE}.webli", pretrained=False, num_classes=9083)
    if gated:
        net.head = models.V2GatedHead(min(net.head.weight.shape), 9083)
    return net.eval()


def randomise(net: torch.nn.Module) -> None:
    """Weights that let activations live, and logits spread about -2."""
    generator = torch.Generator().manual_seed(0)
    for name, value in net.named_parameters():
        if value.ndim > 1:
            value.data.normal_(0, (1.2 / value[0].numel()) ** 0.5, generator=generator)
        elif name.endswith("weight"):
            value.data.uniform_(0.8, 1.2, generator=generator)
        else:
            value.data.normal_(0, 0.1, generator=generator)
    bias = net.head.linear.bias if hasattr(net.head, "linear") else net.head.bias
    bias.data.normal_(-2, 1, generator=generator)


def write_pictures(folder: Path) -> list[Path]:
    random = np.random.RandomState(0)
    for name, (width, height, mode) in {
        "wide": (1536, 1024, "RGB"),
        "small": (120, 90, "RGB"),
        "clear": (500, 700, "RGBA"),
    }.items():
        coarse = random.randint(0, 256, (9, 9, len(mode)), dtype=np.uint8)
        Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC).save(folder / f"{name}.png")
    return sorted(folder.glob("*.png"))


@torch.no_grad()
def main(checkout: Path, folder: Path, kind: str) -> None:
    images, models = original(checkout)
    net = build(models, kind == "pilot2")
    randomise(net)
    path = folder / f"{NAMES[kind]}-{ARCHITECTURE}.safetensors"
    save_file(net.state_dict(), path)
    load_model(net, str(path))
    transform = images.JtpImageManager.get_transform(384, 384, InterpolationMode.LANCZOS, True, None, 0.5)
    inputs, answers = {}, {}
    for picture in write_pictures(folder):
        x = transform(Image.open(picture).convert("RGBA"))
        found = net(x[None])
        inputs[picture.stem] = x.numpy()
        answers[picture.stem] = (found if kind == "pilot2" else torch.nn.functional.sigmoid(found))[0].numpy()
    np.savez(folder / "inputs.npz", **inputs)
    np.savez(folder / "answers.npz", **answers)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
