"""Writes weight files in the layouts that are published, from a state dict or a module."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, nn


def write_safetensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> Path:
    """A safetensors file."""
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path, dict(metadata or {}))
    return path


def write_zip(path: Path, what: Any) -> Path:
    """What torch.save has written since 1.6; `what` is a state dict, a module, or a table that holds one."""
    torch.save(what, path)
    return path


def write_legacy(path: Path, what: Any) -> Path:
    """What torch.save wrote before 1.6."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a module's source cannot always be found
        torch.save(what, path, _use_new_zipfile_serialization=False)
    return path


def write_script(path: Path, module: nn.Module) -> Path:
    """A TorchScript archive."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, its files are not gone
        torch.jit.save(torch.jit.script(module), str(path))
    return path


STATE_DICT_WRITERS: Mapping[str, Callable[[Path, Mapping[str, Tensor]], Path]] = {
    "safetensors": write_safetensors,
    "zip": lambda path, tensors: write_zip(path, dict(tensors)),
    "legacy": lambda path, tensors: write_legacy(path, dict(tensors)),
}
