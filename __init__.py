"""Keepers finds the keepers among generated images: in ComfyUI, in the Stable Diffusion WebUI, and on folders.

This file knows no host: it is imported by ComfyUI, by the WebUI's door in scripts/, by pip's entry point and by tests.
"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"

WEB_DIRECTORY = "./web"
"""Where ComfyUI finds the nodes' help pages."""


async def comfy_entrypoint() -> Any:
    """What ComfyUI calls to get the nodes; nobody else does, so nothing of ComfyUI is imported elsewhere."""
    from .nodes.entry import Extension

    return Extension()
