"""SigLIP SO400M/14 at 384 pixels: the backbone that FARAMIR and the aesthetic predictor share in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, cast

from ..core.errors import WrongWeights
from ..core.spec import Build
from ..core.weights.weight_file import WeightFile

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .nets.siglip import Block, SigLip

TITLE = "SigLIP SO400M/14 384"
LICENCE = "Apache-2.0 (SigLIP)"
OLD = "timm/ViT-SO400M-14-SigLIP-384"
FOLDER = "siglip-so400m-384"
VISUAL = "visual.trunk."
"""The prefix of the image tower's names in OpenCLIP's files, which hold the text tower too."""

SIGLIP = WeightFile(
    name="model.safetensors",
    repo="timm/vit_so400m_patch14_siglip_384.webli",
    licence=LICENCE,
    folder=FOLDER,
    alternatives=(
        WeightFile("open_clip_model.safetensors", repo=OLD, licence=LICENCE, folder=FOLDER),
        WeightFile("open_clip_pytorch_model.bin", repo=OLD, licence=LICENCE, folder=FOLDER),
    ),
)
"""timm 1.0.9 and later load the first file, earlier ones the last; the image tower's tensors are the same in all."""


def tower(given: Build) -> SigLip:
    """The backbone in the precision asked for, one for all models that use it. Raises WrongWeights."""
    key = f"siglip {given.path(SIGLIP)} {given.precision} {given.device}"
    return cast("SigLip", given.shared(key, lambda: load(given)))


def load(given: Build) -> SigLip:
    """Build the backbone on the meta device and fill it block by block: at most one block is in memory twice."""
    from torch import nn

    from ..core.weights.assign import build_on_meta
    from .nets.siglip import SigLip, can_pack

    prefix, shape = examine(given)
    net = build_on_meta(lambda: SigLip(**shape))
    pack = given.device.type == "cpu" and can_pack(_dtype(given))
    blocks, net.blocks = net.blocks, nn.ModuleList()
    _fill(net, given, prefix)
    for number, block in enumerate(blocks):
        # Each block maps the file anew: pages that were read leave memory only when their mapping is closed.
        _fill(block, given, f"{prefix}blocks.{number}.")
        if pack:
            cast("Block", block).pack(rows=net.pos_embed.shape[1])
    net.blocks = blocks
    return net


def examine(given: Build) -> tuple[str, dict[str, int]]:
    """The prefix of the tower's names in the file, and the tower's sizes. Raises WrongWeights for any other file."""
    path, tensors = given.path(SIGLIP), given.tensors(SIGLIP)
    prefix = VISUAL if VISUAL + "pos_embed" in tensors else ""
    own = {name[len(prefix) :] for name in tensors if name.startswith(prefix)}
    depth = len({name.split(".")[1] for name in own if name.startswith("blocks.")})
    wanted = {*_names("", OUTSIDE), *(name for number in range(depth) for name in _names(f"blocks.{number}.", INSIDE))}
    if own != wanted or not depth:
        raise WrongWeights(path, TITLE, missing=wanted - own, unexpected=own - wanted)
    kernel, hidden = (tensors[prefix + name].shape for name in ("patch_embed.proj.weight", "blocks.0.mlp.fc1.weight"))
    patches = tensors[prefix + "pos_embed"].shape[1]
    return prefix, {"width": kernel[0], "hidden": hidden[0], "depth": depth, "patch": kernel[-1], "patches": patches}


POOL = ("q", "kv", "proj", "norm", "mlp.fc1", "mlp.fc2")
OUTSIDE = ("patch_embed.proj", "norm", *(f"attn_pool.{layer}" for layer in POOL))
INSIDE = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def _names(start: str, layers: Sequence[str]) -> set[str]:
    alone = set() if start else {"pos_embed", "attn_pool.latent"}
    return alone | {f"{start}{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}


def _fill(piece: nn.Module, given: Build, prefix: str) -> None:
    from ..core.weights.assign import assign

    path, dtype = given.path(SIGLIP), _dtype(given)
    assign(piece, given.tensors(SIGLIP), path=path, model=TITLE, prefix=prefix, others=True, dtype=dtype)


def _dtype(given: Build) -> torch.dtype:
    import torch

    return torch.bfloat16 if given.precision == "fast" else torch.float32
