"""Keepers finds the keepers among generated images: in ComfyUI, in the Stable Diffusion WebUI, and on folders.

This file knows no host: it is imported by ComfyUI, by the WebUI's door in scripts/, by pip's entry point and by tests.
"""

from __future__ import annotations

__version__ = "0.1.0"
