"""What Keepers uses of comfy/model_management.py: a device, loading, and the check for Cancel."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from .model_patcher import ModelPatcher


class VRAMState(Enum):
    """How much video memory the user lets ComfyUI take."""

    DISABLED = 0
    NO_VRAM = 1
    LOW_VRAM = 2
    NORMAL_VRAM = 3
    HIGH_VRAM = 4
    SHARED = 5


class InterruptProcessingException(Exception):
    """Raised where the user has pressed Cancel; ends the prompt."""


vram_state = VRAMState.DISABLED
interrupted = False
loaded: list[ModelPatcher] = []
"""For tests: what was asked to be loaded."""


def get_torch_device() -> torch.device:
    """Where models run."""
    return torch.device("cpu")


def load_models_gpu(models: Sequence[ModelPatcher], memory_required: int = 0, force_full_load: bool = False) -> None:
    """Load models onto their devices and push others out where there is no room."""
    for each in models:
        each.model.to(each.load_device)
        loaded.append(each)


def throw_exception_if_processing_interrupted() -> None:
    """Stops here when the user has pressed Cancel; the wish is then fulfilled and forgotten."""
    global interrupted
    if interrupted:
        interrupted = False
        raise InterruptProcessingException
