"""What ComfyUI lends us: devices, its memory management, progress, a way to stop, and folders for weights."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from weakref import WeakValueDictionary

import comfy.model_management as management
import folder_paths
import torch
from comfy.model_patcher import ModelPatcher
from comfy.utils import ProgressBar
from server import PromptServer

from ..core.judging.judge import Judge
from ..core.runtime import Runtime
from ..core.weights.store import WeightStore, default_folders
from ..models.registry import REGISTRY

if TYPE_CHECKING:
    from torch import nn

KEY = "keepers"
"""The kind of model under which ComfyUI and extra_model_paths.yaml know our folder."""
_SECOND = "classifiers"
"""ComfyUI's own kind for such models. It lists files without an ending only, so it is looked through but not listed."""
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".keras", ".toml")
_PATCHER = "keepers_patcher"

Precision = Literal["auto", "exact", "fast"]


@dataclass(frozen=True)
class RunOptions:
    """How models run, as chosen on a node."""

    batch: int = 8
    precision: Precision = "auto"
    download: bool = False


def register_folder() -> None:
    """Make models/keepers known to ComfyUI, beside what extra_model_paths.yaml has named; creates nothing."""
    folder_paths.add_model_folder_path(KEY, str(Path(folder_paths.models_dir) / KEY))
    folder_paths.folder_names_and_paths[KEY][1].update(_SUFFIXES)


def store(*, download: bool = False) -> WeightStore:
    """The weight files of this machine. Downloads go into ComfyUI's first folder for keepers."""
    given = [*folder_paths.get_folder_paths(KEY), *folder_paths.get_folder_paths(_SECOND)]
    folders = [*map(Path, given), *default_folders()]
    return WeightStore(folders, download=download, progress=_Progress(), check=check)


def check() -> None:
    """Stops here when the user has pressed Cancel: raises ComfyUI's own exception for it."""
    management.throw_exception_if_processing_interrupted()


_lock = threading.Lock()
_judges: WeakValueDictionary[str, Judge] = WeakValueDictionary()


def judge(options: RunOptions | None = None) -> Judge:
    """The one judge of this process.

    Nobody here keeps it: the nodes that score hold it, and ComfyUI holds those nodes as long as they are in the
    workflow that ran last, or until the user frees the model and node cache. Then its nets leave the memory.
    """
    with _lock:
        found = _judges.get(KEY)
        if found is None:
            found = Judge(REGISTRY, store(), _runtime("auto"))
            _judges[KEY] = found
        if options is not None:
            found.batch = options.batch
            found.runtime = _runtime(options.precision)
            found.store = store(download=options.download)
            found.retry()
        return found


def _runtime(precision: Precision) -> Runtime:
    return Runtime(device=_device(), precision=precision, place=place, progress=_Progress(), check=check)


def _device() -> str:
    """Where nets run: ComfyUI's device; the CPU when the user allows no weights in video memory (--novram)."""
    no_room = management.vram_state == management.VRAMState.NO_VRAM
    return "cpu" if no_room else str(management.get_torch_device())


def place(parts: Sequence[nn.Module], device: torch.device) -> torch.device:
    """Have ComfyUI load the parts of a net, which may push other models out, as others may push these out later."""
    with torch.inference_mode(False), torch.no_grad():
        management.load_models_gpu([_patcher(part, device) for part in parts], force_full_load=True)
    return device


def _patcher(part: nn.Module, device: torch.device) -> ModelPatcher:
    """What ComfyUI manages a part by; one for each part, and gone with it.

    The plain ModelPatcher on purpose: the newer dynamic one serves nets made of ComfyUI's own layers, and would copy
    all weights of others before every batch.
    """
    found = getattr(part, _PATCHER, None)
    if not isinstance(found, ModelPatcher) or found.load_device != device:
        found = ModelPatcher(part, load_device=device, offload_device=torch.device("cpu"))
        setattr(part, _PATCHER, found)
    return found


def say(text: str, node: str | None) -> None:
    """Show a line of text on a node, where there is a browser to show it."""
    server = getattr(PromptServer, "instance", None)
    if node and server is not None:
        with suppress(AttributeError):  # a server of another kind, as some API hosts have it
            server.send_progress_text(text, node)


@dataclass
class _Progress:
    """ComfyUI's progress bar on the node that runs: images of a model, or bytes of a download."""

    _bars: dict[tuple[int, str], ProgressBar] = field(default_factory=dict[tuple[int, str], ProgressBar])

    def __call__(self, done: int, total: int, what: str) -> None:
        key = (total, what)
        if key not in self._bars:
            self._bars.clear()
            self._bars[key] = ProgressBar(max(total, 1))
        self._bars[key].update_absolute(done, max(total, 1))
