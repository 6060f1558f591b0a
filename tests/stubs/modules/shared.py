"""A stub of modules.shared: options, state and command line, with the host's defaults."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

IS_STUB = True


class OptionInfo:
    """One entry of the settings."""

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Any = None,
        section: Any = None,
    ) -> None:
        self.default, self.label, self.component = default, label, component
        self.component_args, self.section, self.onchange = component_args, section, onchange
        self.comment = ""

    def info(self, text: str) -> OptionInfo:
        """The small text behind the label."""
        self.comment = text
        return self


DEFAULTS = {
    "samples_save": True,
    "samples_format": "png",
    "save_txt": False,
    "enable_pnginfo": True,
    "return_grid": True,
    "grid_save": True,
    "grid_format": "png",
    "grid_only_if_multiple": True,
    "grid_extended_filename": False,
    "return_mask": False,
    "save_mask": False,
    "save_images_before_highres_fix": False,
    "save_images_before_face_restoration": False,
    "save_images_before_color_correction": False,
    "save_to_dirs": True,
}


class Options:
    """Options are read as attributes; `data` holds what was set."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self.data_labels: dict[str, OptionInfo] = {}

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Offer an option."""
        self.data_labels[key] = info

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name in self.data:
            return self.data[name]
        if name in self.data_labels:
            return self.data_labels[name].default
        return DEFAULTS[name]


opts = Options()
state = SimpleNamespace(interrupted=False, skipped=False, stopping_generation=False, textinfo=None, job_count=0)
cmd_opts = SimpleNamespace(api=True, nowebui=False, api_auth=None)
