"""Called by scripts/keepers.py at every load of the host's scripts, and again at "Reload UI"."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

from typing import Any

from modules import script_callbacks

from . import axes, saved, settings
from .extras import KeepersExtras
from .script import KeepersScript


def register() -> tuple[type[KeepersScript], type[KeepersExtras]]:
    """Hand the callbacks to the host, which has just forgotten all, and the two classes to the door."""
    script_callbacks.on_ui_settings(settings.add_settings)
    script_callbacks.on_before_ui(axes.add_axes)
    script_callbacks.on_before_image_saved(saved.before_saved)
    script_callbacks.on_image_saved(saved.after_saved)
    script_callbacks.on_app_started(_add_routes)
    return KeepersScript, KeepersExtras


def _add_routes(demo: Any, app: Any) -> None:
    from .routes import add_routes  # the server's modules are needed only where there is a server

    add_routes(demo, app)
