"""Opens a weight file of any published kind; its content decides, not its name."""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from ...errors import CorruptWeights, UnsafeWeights, one_line
from .not_weights import not_weights
from .safetensors_file import looks_like_safetensors, read_safetensors
from .tensor_file import Spot, TensorFile, map_file
from .torch_file import looks_like_pickle, looks_like_zip, read_legacy, read_zip


def read_tensors(path: Path) -> TensorFile:
    """The tensors of a safetensors, torch.save, torch.jit.save or fastai file, memory-mapped, on the CPU.

    No path is ever handed to torch or safetensors: some hosts replace their loaders with ones that rename files they
    cannot read. Raises CorruptWeights or UnsafeWeights, with the path and what to do, and OSError.
    """
    path = Path(path)
    buffer = map_file(path)
    try:
        spots, metadata = _read(buffer, path)
    except (CorruptWeights, UnsafeWeights) as error:
        size = len(buffer)
        buffer.close()
        what = f"{one_line(str(path))} ({size:,} bytes) cannot be read as weights: {error}"
        raise type(error)(f"{what}. Delete it and get it again.") from None
    return TensorFile(path, buffer, spots, metadata)


def _read(buffer: mmap.mmap, path: Path) -> tuple[Mapping[str, Spot], Mapping[str, str]]:
    if strange := not_weights(buffer[:512]):
        raise CorruptWeights(strange)
    if looks_like_safetensors(buffer):
        return read_safetensors(buffer)
    if looks_like_zip(buffer):
        return read_zip(buffer, path), {}
    if looks_like_pickle(buffer):
        return read_legacy(buffer), {}
    raise CorruptWeights("it is neither a safetensors file nor a torch file")


def require_finite(tensors: Mapping[str, Tensor], path: object) -> None:
    """Reads every number once. Raises CorruptWeights for the first tensor with a NaN or an infinity."""
    for name, tensor in tensors.items():
        if tensor.is_floating_point() and tensor.numel() and not _finite(tensor):
            raise CorruptWeights(f"{one_line(str(path))} is damaged: {name} is not finite. Get it again.")


def _finite(tensor: Tensor) -> bool:
    if tensor.dtype.itemsize == 1:  # the 8-bit types have no reductions
        tensor = tensor.float()
    low, high = torch.aminmax(tensor)  # one pass without a mask; both are NaN if any value is
    return bool(torch.isfinite(low) & torch.isfinite(high))
