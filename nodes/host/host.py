"""What ComfyUI provides: devices, memory management, progress, cancelling, and folders for weights."""

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

from ...core.judging.judge import Judge
from ...core.runtime import Runtime
from ...core.weights.store import WeightStore, default_folders
from ...models.registry import REGISTRY

if TYPE_CHECKING:
    from torch import nn

KEY = "keepers"
"""The key of our model folder in ComfyUI and extra_model_paths.yaml."""
_SECOND = "classifiers"
"""ComfyUI's own key for such models. It lists only files without an extension, so we search it but do not list it."""
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
    """Register models/keepers with ComfyUI, in addition to extra_model_paths.yaml; creates no folder."""
    folder_paths.add_model_folder_path(KEY, str(Path(folder_paths.models_dir) / KEY))
    folder_paths.folder_names_and_paths[KEY][1].update(_SUFFIXES)


def store(*, download: bool = False) -> WeightStore:
    """The weight files of this machine. Downloads go into ComfyUI's first folder for keepers."""
    given = [*folder_paths.get_folder_paths(KEY), *folder_paths.get_folder_paths(_SECOND)]
    folders = [*map(Path, given), *default_folders()]
    return WeightStore(folders, download=download, progress=_Progress(), check=check)


def check() -> None:
    """Raise ComfyUI's own exception if the user has pressed Cancel."""
    management.throw_exception_if_processing_interrupted()


_lock = threading.Lock()
_judges: WeakValueDictionary[str, Judge] = WeakValueDictionary()


def judge(options: RunOptions | None = None) -> Judge:
    """The one judge of this process.

    This module does not keep it alive. The nodes that score hold it, and ComfyUI holds those nodes while they are in
    the last workflow that ran, or until the user frees the model and node cache. Then its nets leave memory.
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
    """Where nets run: ComfyUI's device, or the CPU if the user allows no weights in video memory (--novram)."""
    no_room = management.vram_state == management.VRAMState.NO_VRAM
    return "cpu" if no_room else str(management.get_torch_device())


def place(parts: Sequence[nn.Module], device: torch.device) -> torch.device:
    """Have ComfyUI load the parts of a net. This may evict other models, as they may evict these later."""
    with torch.inference_mode(False), torch.no_grad():
        management.load_models_gpu([_patcher(part, device) for part in parts], force_full_load=True)
    return device


def _patcher(part: nn.Module, device: torch.device) -> ModelPatcher:
    """The handle by which ComfyUI manages a part; each part has one, and it goes with the part.

    The plain ModelPatcher is deliberate: the newer dynamic one is made for nets of ComfyUI's own layers, and would copy
    all weights of other nets before every batch.
    """
    found = getattr(part, _PATCHER, None)
    if not isinstance(found, ModelPatcher) or found.load_device != device:
        found = ModelPatcher(part, load_device=device, offload_device=torch.device("cpu"))
        setattr(part, _PATCHER, found)
    return found


def say(text: str, node: str | None) -> None:
    """Show a line of text on a node, if there is a browser."""
    server = getattr(PromptServer, "instance", None)
    if node and server is not None:
        with suppress(AttributeError):  # another kind of server, as on some API hosts
            server.send_progress_text(text, node)


@dataclass
class _Progress:
    """ComfyUI's progress bar on the running node: images through a model, or bytes of a download."""

    _bars: dict[tuple[int, str], ProgressBar] = field(default_factory=dict[tuple[int, str], ProgressBar])

    def __call__(self, done: int, total: int, what: str) -> None:
        key = (total, what)
        if key not in self._bars:
            self._bars.clear()
            self._bars[key] = ProgressBar(max(total, 1))
        self._bars[key].update_absolute(done, max(total, 1))
