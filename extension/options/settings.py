"""The settings page and its current values."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr
from modules import shared

from ...core.captions.recipe import CaptionRecipe
from ...core.errors import KeepersError, OutsideFolder
from ...core.paths import inside
from ...models.presets import PRESETS
from .choices import EXISTING, POLICIES, Choices, chosen

SECTION = ("keepers", "Keepers")
AFTER = ("keep in place", "move to RAM", "unload")
PRECISIONS = ("auto", "exact", "fast")


@dataclass(frozen=True)
class Settings:
    """The settings at one moment."""

    folder: str = ""
    download: bool = False
    device: str = "auto"
    precision: str = "auto"
    after: str = AFTER[1]
    rejected: str = "rejected"
    review: str = "review"
    show_rejected: bool = False
    ending: str = ".txt"
    preset: str = "signals"
    on_review: str = "subfolder"
    on_reject: str = "subfolder"
    existing: str = "skip"

    def subfolder(self, outcome: str, base: Path) -> Path:
        """The subfolder of `base` for images with this outcome. Raises OutsideFolder."""
        return inside(base, self.rejected if outcome == "reject" else self.review)

    def choices(self) -> Choices:
        """What a fresh panel shows; an invalid setting is ignored."""
        good = Choices()
        for name in ("preset", "on_review", "on_reject", "existing"):
            with suppress(KeepersError):
                good = chosen({name: getattr(self, name)}, good)
        return good


def settings() -> Settings:
    """The current settings; the defaults before the host has read its own."""
    data = cast("dict[str, Any]", getattr(shared.opts, "data", {}))
    plain = Settings()
    found = {name: data.get(f"keepers_{name}", getattr(plain, name)) for name in plain.__dataclass_fields__}
    return Settings(**found)


def caption_ending(recipe_ending: str) -> tuple[str, bool]:
    """The extension of caption files, and whether it was changed to avoid the host's own text files."""
    ending = recipe_ending or ".txt"
    if getattr(shared.opts, "save_txt", False) and ending.lower() == ".txt":
        return ".caption.txt", True
    return ending, False


def check_settings(found: Settings) -> None:
    """Refuse folder names and file extensions that lead elsewhere. Raises OutsideFolder, RecipeError."""
    for name in (found.rejected, found.review):
        if not name.strip():
            raise OutsideFolder(name, "the output folder", "Settings > Keepers: a subfolder needs a name")
        inside(Path(), name)
    CaptionRecipe(extension=found.ending)


def add_settings() -> None:
    """Add the page to the host's settings."""
    plain = Settings()

    def add(name: str, label: str, info: str, component: Any = None, arguments: dict[str, Any] | None = None) -> None:
        default = getattr(plain, name)
        option = shared.OptionInfo(default, label, component, arguments, section=SECTION)
        shared.opts.add_option(f"keepers_{name}", option.info(info) if hasattr(option, "info") else option)

    def pick(name: str, label: str, info: str, choices: Any) -> None:
        add(name, label, info, gr.Radio, {"choices": list(choices)})

    add("folder", "Folder with model files", "empty: models/keepers; KEEPERS_MODELS and the hub's cache are used too")
    add("download", "Download model files when they are first needed", "never while HF_HUB_OFFLINE is set")
    add("device", "Device for the models", "auto: as the WebUI; or cpu, cuda, cuda:1, mps")
    pick("precision", "Precision", "exact: the originals' numbers; fast: bfloat16 where it helps", PRECISIONS)
    pick("after", "After each job", "what happens to the models' memory", AFTER)
    add("rejected", "Subfolder for rejected images", "below the folder where they would be saved")
    add("review", "Subfolder for images to review", "below the folder where they would be saved")
    add("show_rejected", "Show rejected images in the gallery", "those that were dropped are never shown")
    add("ending", "Ending of caption files", ".caption.txt is used where the WebUI writes its own .txt")
    pick("preset", "Default preset", "needs Reload UI", PRESETS)
    pick("on_review", "Default for images to review", "needs Reload UI", POLICIES)
    pick("on_reject", "Default for rejected images", "needs Reload UI", POLICIES)
    pick("existing", "Default for captions that exist", "needs Reload UI", EXISTING)
