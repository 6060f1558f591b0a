"""Runs the original FARAMIR, in its own environment, on pictures and weights from fixed seeds.

    python faramir_original.py CHECKOUT OUT.npz --pictures FOLDER [--weights FOLDER] [--tiny] [--views OUT.json]

`--weights` also writes the weights, in the published layout. It needs Pillow below 12, timm and torch.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import timm
import torch

sys.path.insert(0, str(Path(__file__).parent))
from faramir_pictures import random_tensor, write_pictures  # pyright: ignore[reportMissingImports]

OWN = ("attn_pool.", "norm.", "head.")
"""What faramir-v1.pth holds."""
TINY = {"embed_dim": 144, "depth": 2, "num_heads": 2}


def original(checkout: Path, tiny: bool) -> tuple[torch.nn.Module, object]:
    """The original's model with seeded weights, and its module `image`."""
    sys.path.insert(0, str(checkout))
    import image  # pyright: ignore[reportMissingImports]
    import model  # pyright: ignore[reportMissingImports]

    create = timm.create_model

    def without_download(name: str, pretrained: bool = False, **options: object) -> torch.nn.Module:
        more = TINY if tiny and name.startswith("vit") else {}
        return create(name.split(".")[0], pretrained=False, **options, **more)

    with (
        mock.patch.object(timm, "create_model", without_download),
        mock.patch.object(torch.hub, "load_state_dict_from_url", lambda url, **_: seeded(url, tiny, model)),
    ):
        if tiny:
            model.BACKBONE_DIM = TINY["embed_dim"]
        net = model.ClassifierModel().eval()
    fill(net.backbone, "backbone.", list(net.backbone.state_dict()))
    fill(net, "own.", [key for key in net.state_dict() if key.startswith(OWN)])
    return net, image


def fill(part: torch.nn.Module, prefix: str, keys: list[str]) -> None:
    """Seeded values for some of a module's tensors."""
    shapes = {key: tuple(value.shape) for key, value in part.state_dict().items()}
    part.load_state_dict({k: torch.from_numpy(random_tensor(prefix + k, shapes[k])) for k in keys}, strict=False)


def seeded(url: str, tiny: bool, model: object) -> dict[str, torch.Tensor]:
    """Stands for the downloads of ARNIQA.pth and the aesthetic head."""
    kind = "aesthetic" if "aesthetic" in url else "arniqa"
    with mock.patch.object(torch.nn.init, "trunc_normal_", lambda tensor, *_, **__: tensor):
        made = model.AestheticPredictorV2p5Head() if kind == "aesthetic" else model.ARNIQAEncoder()  # pyright: ignore[reportAttributeAccessIssue]
    return {k: torch.from_numpy(random_tensor(f"{kind}.{k}", tuple(v.shape))) for k, v in made.state_dict().items()}


def save_weights(net: torch.nn.Module, folder: Path) -> None:
    """The four files as they are published: the backbone in safetensors, the others pickled."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    own = {k: v for k, v in net.state_dict().items() if k.startswith(OWN)}
    save_file({k: v.contiguous() for k, v in net.backbone.state_dict().items()}, folder / "model.safetensors")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    torch.save(own, folder / "faramir-v1.pth")
    torch.save(net.quality.state_dict(), folder / "ARNIQA.pth")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    torch.save(net.aesthetic.state_dict(), folder / "aesthetic_predictor_v2_5.pth")  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]


@torch.inference_mode()
def judge(net: torch.nn.Module, xb: np.ndarray, xq: np.ndarray) -> np.ndarray:
    """The 30 gated values, the decision, 30 raw, 30 gate logits, and the aesthetic score: 92 numbers."""
    views = [torch.from_numpy(x).float()[None].to(memory_format=torch.channels_last) for x in (xb, xq)]
    features = net.forward_features(*views)  # pyright: ignore[reportCallIssue]
    values = net.forward_head(features["f"], features["ae"], features["q"])  # pyright: ignore[reportCallIssue]
    score = net.aesthetic.scoring_head[-1](features["ae"])  # pyright: ignore[reportAttributeAccessIssue, reportIndexIssue]
    return torch.cat([values, score], dim=-1)[0].numpy()


def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--views", type=Path)
    parser.add_argument("--only", nargs="*")
    options = parser.parse_args()
    names = write_pictures(options.pictures)
    net, image = original(options.checkout, options.tiny)
    if options.weights:
        save_weights(net, options.weights)
    found, hashes = {}, {}
    for name in names:
        try:
            xb, xq = image.load_image(str(options.pictures / name), 384, 512)  # pyright: ignore[reportAttributeAccessIssue]
        except (ValueError, ZeroDivisionError, OSError):
            continue
        hashes[name] = [hashlib.sha256(np.ascontiguousarray(x)).hexdigest()[:16] for x in (xb, xq)]
        if not options.only or name in options.only:
            found[name] = judge(net, xb, xq)
            print(name, torch.tensor(found[name][30]).sigmoid().item(), flush=True)
    np.savez(options.out, **found)
    if options.views:
        options.views.write_text(json.dumps(hashes, indent=1) + "\n")


if __name__ == "__main__":
    main()
