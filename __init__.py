"""Keepers finds the keepers among generated images: in ComfyUI, in the Stable Diffusion WebUI, and on folders.

    import keepers

    found = keepers.score("image.png", gate="signals")
    print(found.outcome, found.reason, found.predictions["signals"]["blur"])

The names in `__all__` are the library. Each is loaded when it is first used, so that importing this file costs nothing.

This file knows no host: it is imported by ComfyUI, by the WebUI's door in scripts/, by pip's entry point and by tests.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.captions.recipe import CaptionRecipe
    from .core.captions.writer import taggers, write_caption
    from .core.errors import KeepersError
    from .core.gates.gate import Gate
    from .core.judging.judge import Judge
    from .core.metadata.read import read_generation
    from .core.pictures.open import open_image
    from .core.prediction import Prediction
    from .core.runtime import Runtime
    from .core.weights.store import WeightStore
    from .library.score import ScoredImage, score
    from .models.presets import preset
    from .models.registry import REGISTRY

__all__ = [
    "REGISTRY",
    "CaptionRecipe",
    "Gate",
    "Judge",
    "KeepersError",
    "Prediction",
    "Runtime",
    "ScoredImage",
    "WeightStore",
    "__version__",
    "open_image",
    "preset",
    "read_generation",
    "score",
    "taggers",
    "write_caption",
]

__version__ = "0.1.0"

WEB_DIRECTORY = "./web"
"""Where ComfyUI finds the nodes' help pages."""

_HOMES = {
    "REGISTRY": ".models.registry",
    "CaptionRecipe": ".core.captions.recipe",
    "Gate": ".core.gates.gate",
    "Judge": ".core.judging.judge",
    "KeepersError": ".core.errors",
    "Prediction": ".core.prediction",
    "Runtime": ".core.runtime",
    "ScoredImage": ".library.score",
    "WeightStore": ".core.weights.store",
    "open_image": ".core.pictures.open",
    "preset": ".models.presets",
    "read_generation": ".core.metadata.read",
    "score": ".library.score",
    "taggers": ".core.captions.writer",
    "write_caption": ".core.captions.writer",
}
"""The modules of the library's names. They are relative, because the package has another name in every host."""


def __getattr__(name: str) -> Any:
    """A name of the library, loaded on first use. Raises AttributeError for all others."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """What is loaded, and what can be."""
    return sorted({*globals(), *__all__})


async def comfy_entrypoint() -> Any:
    """What ComfyUI calls to get the nodes; nobody else does, so nothing of ComfyUI is imported elsewhere."""
    from .nodes.entry import Extension

    return Extension()
