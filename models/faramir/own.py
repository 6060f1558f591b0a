"""FARAMIR's own part: the attention pool, norm and head of its published file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...core.spec import Build
from ...core.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from torch import Tensor

    from .net import Own

OWN = WeightFile(
    name="faramir-v1.pth",
    url="https://github.com/redhottensors/FARAMIR/raw/main/faramir-v1.pth",
    git_sha1="405fc91604d0f6f01af63846dd550927f88c54a2",
    licence="MPL-2.0 (FARAMIR)",
    folder="faramir",
)


def own_part(given: Build) -> Own:
    """The attention pool, norm and head of faramir-v1.pth. Raises WrongWeights."""
    import torch

    from ...core.weights.assign import Renamed, assign, build_on_meta
    from .net import Own

    tensors = Renamed(given.tensors(OWN), _needed)
    own = build_on_meta(lambda: Own(**_sizes(tensors)))
    assign(own, tensors, path=given.path(OWN), model="faramir")
    if given.precision == "fast":
        own.attn_pool.to(torch.bfloat16)
    return own


def _needed(key: str) -> str | None:
    """Leaves out the statistics from which the means and deviations were computed in training."""
    return None if key.startswith("norm.") and key.endswith((".weight", ".m2")) else key


def _sizes(tensors: Mapping[str, Tensor]) -> dict[str, int]:
    sources = {"width": "norm.ap_norm.mean", "hidden": "attn_pool.mlp.fc1.bias", "quality": "norm.q_norm.mean"}
    return {size: int(tensors[key].shape[0]) for size, key in sources.items() if key in tensors and tensors[key].ndim}
