"""Filling a net that was built without memory from the tensors of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ...core.errors import WrongWeights

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


def fill(module: nn.Module, tensors: Mapping[str, Tensor], path: Path, model: str, dtype: torch.dtype) -> None:
    """Give a net the tensors of a file, without a copy where they have the type already; nothing is trainable.

    Floating-point tensors become `dtype`, others keep theirs. Raises WrongWeights where names or shapes differ.
    """
    wanted = module.state_dict()
    missing, unexpected = wanted.keys() - tensors.keys(), tensors.keys() - wanted.keys()
    if missing or unexpected:
        raise WrongWeights(path, model, missing, unexpected)
    odd = [key for key in wanted if wanted[key].shape != tensors[key].shape]
    if odd:
        detail = f"{odd[0]} has the shape {tuple(tensors[odd[0]].shape)} instead of {tuple(wanted[odd[0]].shape)}"
        raise WrongWeights(path, model, detail=detail)
    converted = {key: t.to(dtype) if t.is_floating_point() else t for key, t in tensors.items()}
    module.load_state_dict(converted, strict=True, assign=True)
    module.requires_grad_(False)
    module.eval()
