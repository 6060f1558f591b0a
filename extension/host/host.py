"""What the WebUI provides: a device, memory on it, folders and interrupts; and this process's one judge."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import ctypes
import gc
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakSet

from modules import devices, paths, shared

from ...core.errors import Cancelled
from ...core.judging.judge import Judge
from ...core.runtime import Runtime, move
from ...core.weights.store import WeightStore, default_folders
from ...models.registry import REGISTRY
from ..options.settings import AFTER, Settings, settings

if TYPE_CHECKING:
    import torch
    from torch import nn

FREE_MEMORY = ("backend.memory_management", "ldm_patched.modules.model_management")
"""Where Forge and reForge free memory on a device; other hosts only empty their caches."""

_lock = threading.Lock()
_made: tuple[tuple[object, ...], Judge] | None = None
_placed: WeakSet[nn.Module] = WeakSet()


def judge() -> Judge:
    """The judge of this process; a new one after its settings change. This loads no model."""
    global _made  # one judge a process: two would hold every net twice
    found = settings()
    wanted = (found.folder, found.download, found.device, found.precision)
    with _lock:
        if _made is None or _made[0] != wanted:
            if _made is not None:
                _made[1].release()
            _made = (wanted, Judge(REGISTRY, store(found), _runtime(found)))
        return _made[1]


def store(found: Settings | None = None) -> WeightStore:
    """The weight files that this host can use."""
    found = found or settings()
    own = Path(found.folder).expanduser() if found.folder.strip() else Path(paths.models_path) / "keepers"
    return WeightStore([own, *default_folders()], download=found.download, progress=_progress, check=check_interrupt)


def tidy() -> None:
    """After a job, keep, move or release the models' memory, as the settings say."""
    after = settings().after
    if after == AFTER[2]:
        release()
    elif after == AFTER[1]:
        _to_ram()


def release() -> None:
    """Drop all models and return their memory to the system."""
    if _made is not None:
        _made[1].release()
    _placed.clear()
    gc.collect()
    _collect()
    _trim()


def interrupted() -> bool:
    """Whether the user asked to stop, or to skip the current image."""
    return bool(getattr(shared.state, "interrupted", False) or getattr(shared.state, "skipped", False))


def check_interrupt() -> None:
    """Stop if the user asked for it. Raises Cancelled."""
    if interrupted():
        raise Cancelled("The job was interrupted.")


def _runtime(found: Settings) -> Runtime:
    return Runtime(
        device=_device(found.device),
        precision=cast(Any, found.precision),
        place=_place,
        progress=_progress,
        check=check_interrupt,
    )


def _device(wanted: str) -> str:
    if wanted and wanted != "auto":
        return wanted
    return str(getattr(devices, "device", None) or devices.get_optimal_device())


def _place(parts: Sequence[nn.Module], device: torch.device) -> torch.device:
    """Free memory on the device and move the parts there.

    Hooks run in inference mode. A net moved in that mode could never be explained afterwards.
    """
    import torch

    missing = sum(_bytes_elsewhere(part, device) for part in parts)
    if missing:
        with torch.inference_mode(False), torch.no_grad():
            _make_room(missing, device)
            move(parts, device)
        if device.type != "cpu":
            _placed.update(parts)
    return device


def _bytes_elsewhere(part: nn.Module, device: torch.device) -> int:
    """The bytes of a module that are not on the device; "cuda" counts as "cuda:0"."""
    tensors = [*part.parameters(), *part.buffers()]
    index = device.index or 0
    return sum(
        tensor.numel() * tensor.element_size()
        for tensor in tensors
        if tensor.device.type != device.type or (device.type != "cpu" and (tensor.device.index or 0) != index)
    )


def _make_room(size: int, device: torch.device) -> None:
    if device.type == "cpu":
        return
    free = _free_memory()
    if free is not None:
        free(int(size * 1.3) + (256 << 20), device)  # the net and its activations
    else:
        _collect()


def _free_memory() -> Callable[[float, Any], object] | None:
    found = next((sys.modules[name] for name in FREE_MEMORY if name in sys.modules), None)
    return getattr(found, "free_memory", None)


def _to_ram() -> None:
    import torch

    if not _placed:
        return
    with torch.inference_mode(False), torch.no_grad():
        for part in list(_placed):
            part.to("cpu")
    _placed.clear()
    _collect()


def _collect() -> None:
    devices.torch_gc()


def _trim() -> None:
    """Have the C library return freed pages; glibc would keep them."""
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).malloc_trim(0)


def _progress(done: int, total: int, what: str) -> None:
    if total > 1:
        shared.state.textinfo = f"Keepers: {what} {done * 100 // total}%"
