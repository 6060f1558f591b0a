"""What a host lends us: a device, memory on it, a place to show progress, and a way to stop."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from .progress import Check, Progress, go_on, log, silent

if TYPE_CHECKING:
    import torch
    from torch import nn

    from .spec import Precision


def move(parts: Sequence[nn.Module], device: torch.device) -> torch.device:
    """Put the parts of a net on the device and leave them there, as a program without a host does."""
    for part in parts:
        part.to(device)
    return device


@dataclass(frozen=True)
class Runtime:
    """The defaults are for the CLI and the tests; every host brings its own."""

    device: str = "auto"
    """"auto", or what torch.device takes."""
    precision: Literal["auto", "exact", "fast"] = "auto"
    place: Callable[[Sequence[nn.Module], torch.device], torch.device] = move
    """Called before every run of a net: makes its parts usable, and returns the device they are on."""
    progress: Progress = silent
    """Called with done, total and what, between batches and during downloads (in bytes)."""
    check: Check = go_on
    """Called between batches; raises (the host's own exception, or Cancelled) to stop."""
    tell: Callable[[str], None] = log
    """Called with a line that a person should read, such as that a fast number was further off than stated."""

    def torch_device(self) -> torch.device:
        """The device that nets run on."""
        import torch

        if self.device != "auto":
            return torch.device(self.device)
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")

    def resolve(self, device: torch.device) -> Precision:
        """The precision that "auto" means on a device: fast where bfloat16 is fast, exact elsewhere.

        float16 is never chosen: on a CPU it is several times slower than float32, and SigLIP loses accuracy in it.
        """
        if self.precision != "auto":
            return self.precision
        return "fast" if has_fast_bfloat16(device) else "exact"

    def own_precision(self) -> Precision:
        """The precision on the device that nets run on. Only "auto" needs torch to find out."""
        return self.resolve(self.torch_device()) if self.precision == "auto" else self.precision


@contextmanager
def whole_float32() -> Generator[None]:
    """Full float32: no TensorFloat-32, which cuDNN uses by default and hosts enable for matrices.

    The host's settings are restored afterwards. Without an NVIDIA card this changes nothing.
    """
    import torch

    backend = torch.backends.cudnn
    before = torch.get_float32_matmul_precision()
    kept = bool(backend.enabled), bool(backend.benchmark), bool(backend.deterministic)
    with backend.flags(enabled=kept[0], benchmark=kept[1], deterministic=kept[2], allow_tf32=False):
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device has bfloat16 arithmetic in hardware."""
    import torch

    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        ops = torch.ops.mkldnn
        return bool(getattr(ops, "_is_mkldnn_bf16_supported", lambda: False)()) and _cpu_has_bf16()
    return False


def _cpu_has_bf16() -> bool:
    import torch

    flags = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    tiles = getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()
    return bool(flags or tiles)
