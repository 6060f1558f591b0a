"""Runs the original Aesthetic Predictor V2.5, in its own environment, on pictures and a backbone from fixed seeds.

    python aesthetic_original.py CHECKOUT OUT.npz --pictures FOLDER [--tiny] [--head FILE]

The backbone is transformers' SigLIP with the values of the timm backbone that faramir_original.py writes; `--head`
takes the published head instead of one from a seed. It needs transformers and torch.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))
from faramir_pictures import random_tensor, write_pictures  # pyright: ignore[reportMissingImports]

NAMES = ("rgb-384x384.png", "rgb-301x203.png", "alpha.png", "rgb-1000x333.png")
SIZES = {"hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16}
TINY = {"hidden_size": 144, "intermediate_size": 538, "num_hidden_layers": 2, "num_attention_heads": 2}


def timm_tensor(name: str, *shape: int) -> torch.Tensor:
    """A seeded tensor of the backbone, by timm's name for it."""
    return torch.from_numpy(random_tensor("backbone." + name, shape))


def as_transformers(width: int, hidden: int, depth: int) -> dict[str, torch.Tensor]:
    """The seeded backbone under transformers' names, as google/siglip-so400m-patch14-384 has them."""

    def layer(theirs: str, ours: str, *shape: int) -> dict[str, torch.Tensor]:
        return {
            f"{theirs}.weight": timm_tensor(f"{ours}.weight", *shape),
            f"{theirs}.bias": timm_tensor(f"{ours}.bias", shape[0]),
        }

    def mlp(theirs: str, ours: str) -> dict[str, torch.Tensor]:
        first = layer(f"{theirs}.fc1", f"{ours}.fc1", hidden, width)
        return {**first, **layer(f"{theirs}.fc2", f"{ours}.fc2", width, hidden)}

    def joined(ours: str, kind: str, parts: int) -> torch.Tensor:
        return timm_tensor(f"{ours}.{kind}", parts * width, *((width,) if kind == "weight" else ()))

    state = {
        **layer("embeddings.patch_embedding", "patch_embed.proj", width, 3, 14, 14),
        "embeddings.position_embedding.weight": timm_tensor("pos_embed", 1, 729, width)[0],
        **layer("post_layernorm", "norm", width),
        "head.probe": timm_tensor("attn_pool.latent", 1, 1, width),
        **layer("head.attention.out_proj", "attn_pool.proj", width, width),
        **layer("head.layernorm", "attn_pool.norm", width),
        **mlp("head.mlp", "attn_pool.mlp"),
    }
    for kind in ("weight", "bias"):
        pair = [joined("attn_pool.q", kind, 1), joined("attn_pool.kv", kind, 2)]
        state[f"head.attention.in_proj_{kind}"] = torch.cat(pair)
    for number in range(depth):
        theirs, ours = f"encoder.layers.{number}", f"blocks.{number}"
        state |= layer(f"{theirs}.layer_norm1", f"{ours}.norm1", width)
        state |= layer(f"{theirs}.layer_norm2", f"{ours}.norm2", width)
        state |= layer(f"{theirs}.self_attn.out_proj", f"{ours}.attn.proj", width, width)
        state |= mlp(f"{theirs}.mlp", f"{ours}.mlp")
        for kind in ("weight", "bias"):
            for part, value in zip("qkv", joined(f"{ours}.attn.qkv", kind, 3).chunk(3), strict=True):
                state[f"{theirs}.self_attn.{part}_proj.{kind}"] = value
    return {f"vision_model.{name}": value for name, value in state.items()}


def original(checkout: Path, tiny: bool, head: Path | None) -> tuple[torch.nn.Module, object]:
    """The original's model and processor."""
    sys.path.insert(0, str(checkout / "src"))
    from aesthetic_predictor_v2_5 import (  # pyright: ignore[reportMissingImports]
        AestheticPredictorV2_5Model,
        AestheticPredictorV2_5Processor,
    )
    from transformers import SiglipVisionConfig  # pyright: ignore[reportMissingImports]

    sizes = TINY if tiny else SIZES
    net = AestheticPredictorV2_5Model(SiglipVisionConfig(image_size=384, patch_size=14, **sizes)).eval()
    left = net.load_state_dict(as_transformers(*list(sizes.values())[:3]), strict=False)
    assert not left.unexpected_keys, left.unexpected_keys
    assert all(key.startswith("layers.") for key in left.missing_keys), left.missing_keys
    shapes = {key: tuple(value.shape) for key, value in net.layers.state_dict().items()}
    values = {k: torch.from_numpy(random_tensor(f"aesthetic.{k}", shape)) for k, shape in shapes.items()}
    net.layers.load_state_dict(torch.load(head, map_location="cpu", weights_only=True) if head else values)
    # What google/siglip-so400m-patch14-384 says in its preprocessor_config.json.
    size = {"height": 384, "width": 384}
    return net, AestheticPredictorV2_5Processor(size=size, resample=3, image_mean=[0.5] * 3, image_std=[0.5] * 3)


@torch.inference_mode()
def main() -> None:
    """See the head of this file."""
    parser = argparse.ArgumentParser()
    parser.add_argument("checkout", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--head", type=Path)
    options = parser.parse_args()
    write_pictures(options.pictures, only=NAMES)
    net, processor = original(options.checkout, options.tiny, options.head)
    found = {}
    for name in NAMES:
        picture = Image.open(options.pictures / name).convert("RGB")
        pixels = processor(images=picture, return_tensors="pt").pixel_values  # pyright: ignore[reportCallIssue]
        found[name] = net(pixels).logits[0].numpy()
        print(name, found[name], flush=True)
    np.savez(options.out, **found)


if __name__ == "__main__":
    main()
