"""What Keepers uses of comfy/model_patcher.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModelPatcher:
    """How ComfyUI manages a module's memory."""

    def __init__(
        self, model: nn.Module, load_device: torch.device, offload_device: torch.device, size: int = 0
    ) -> None:
        self.model = model
        self.load_device = load_device
        self.offload_device = offload_device
        self.size = size
