"""Builds a net on the meta device, then puts a file's tensors in place without copying them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn

from ..errors import WrongWeights

Module = TypeVar("Module", bound=nn.Module)
COUNTER = "num_batches_tracked"
"""Batch normalisation's counter. Evaluation does not need it, and some files leave it out."""


def build_on_meta(make: Callable[[], Module]) -> Module:
    """The module that `make` builds, on the meta device and in evaluation mode; it takes no memory and no time.

    Every tensor must then come from `assign`, so it is not for modules with computed buffers that are never saved.
    A host may call us inside its inference_mode; what is built here can be differentiated all the same.
    """
    with torch.inference_mode(False), torch.device("meta"):
        return make().eval()


def assign(
    module: Module,
    tensors: Mapping[str, Tensor],
    *,
    path: object,
    model: str,
    prefix: str | None = "",
    others: bool = False,
    dtype: torch.dtype | None = torch.float32,
) -> Module:
    """Puts tensors in place of the parameters and buffers of a module on the meta device, and returns the module.

    Args:
        tensors: by name; those without a counterpart are refused, or with `others` ignored and never read.
        path, model: for the error message.
        prefix: what comes before the module's own names in the file; None means find out.
        others: whether the file may hold tensors that do not belong to the module, for example another tower.
        dtype: what floating-point tensors are converted to; None keeps the file's. Equal types share the file's memory.

    Raises:
        WrongWeights: lists missing and unexpected names, as the file spells them, and shapes that differ.
    """
    wanted = module.state_dict()
    if prefix is None:
        prefix = find_prefix(tensors, wanted)
    _require_same(wanted, tensors, prefix, others, path, model)
    with torch.inference_mode(False):
        given = {name: _given(tensors, prefix + name, like, dtype) for name, like in wanted.items()}
        module.load_state_dict(given, strict=True, assign=True)
    _require_complete(module)
    return module


def find_prefix(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """The prefix that a file puts before the names of `wanted`: the one under which most are found, else ""."""
    first = max((name for name in wanted if not name.endswith(COUNTER)), key=len, default="")
    candidates = [""] + [key.removesuffix(first) for key in tensors if key.endswith("." + first)]
    return max(candidates, key=lambda prefix: sum(prefix + name in tensors for name in wanted))


class Renamed(Mapping[str, Tensor]):
    """Tensors under other names: `new` gives the new name of each old one, or None to leave it out."""

    def __init__(self, tensors: Mapping[str, Tensor], new: Callable[[str], str | None]) -> None:
        self._tensors = tensors
        self._old = {name: old for old in tensors if (name := new(old)) is not None}

    def __getitem__(self, name: str) -> Tensor:
        return self._tensors[self._old[name]]

    def __contains__(self, name: object) -> bool:
        return name in self._old

    def __iter__(self) -> Iterator[str]:
        return iter(self._old)

    def __len__(self) -> int:
        return len(self._old)


def _require_same(
    wanted: Mapping[str, Tensor], tensors: Mapping[str, Tensor], prefix: str, others: bool, path: object, model: str
) -> None:
    names = {prefix + name for name in wanted}
    missing = [name for name in names if name not in tensors and not name.endswith(COUNTER)]
    unexpected = [] if others else [name for name in tensors if name not in names]
    shapes = [
        f"{prefix}{name} has the shape {tuple(tensors[prefix + name].shape)} instead of {tuple(like.shape)}"
        for name, like in wanted.items()
        if prefix + name in tensors and tensors[prefix + name].shape != like.shape
    ]
    more = f" and {len(shapes) - 3} more shapes" if len(shapes) > 3 else ""
    if missing or unexpected or shapes:
        raise WrongWeights(path, model, missing, unexpected, "; ".join(shapes[:3]) + more)


def _given(tensors: Mapping[str, Tensor], name: str, like: Tensor, dtype: torch.dtype | None) -> Tensor:
    if name not in tensors:
        return torch.zeros(like.shape, dtype=like.dtype, device="cpu")
    tensor = tensors[name]
    if tensor.is_inference():
        tensor = tensor.clone()
    return tensor.to(dtype) if dtype is not None and tensor.is_floating_point() else tensor


def _require_complete(module: nn.Module) -> None:
    left = [name for name, value in (*module.named_parameters(), *module.named_buffers()) if value.is_meta]
    assert not left, f"{left} are not in the state dict: fill them where the module is built"
