"""Builds nets of other libraries without the seconds that their random initial values take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

Module = TypeVar("Module", bound=nn.Module)


class _Unfilled(TorchFunctionMode):
    """Skips every change of a parameter in place; in this thread alone."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        del types
        if args and isinstance(args[0], nn.Parameter) and _fills(getattr(func, "__name__", "")):
            return args[0]
        return func(*args, **(kwargs or {}))


def _fills(name: str) -> bool:
    return name.endswith("_") and not name.startswith("_") and name != "requires_grad_"


def build_uninitialised(make: Callable[[], Module]) -> Module:
    """The module that `make` builds, in evaluation mode, with parameters that still mean nothing: assign the weights.

    For modules with computed buffers that are never saved; the meta device would lose them. All others are built with
    `build_on_meta`, which takes no memory at all.
    """
    with torch.inference_mode(False), _Unfilled():
        return make().eval()
