"""Called by scripts/keepers.py whenever the host loads its scripts: at the start and at "Reload UI"."""

# pyright: reportMissingImports=false
# The WebUI's own modules are only there inside the WebUI.
from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modules import script_callbacks

from . import sorting
from .extras import KeepersExtras
from .job import axes, save_hooks
from .options import settings
from .script import KeepersScript

DOOR = Path(__file__).parent.parent / "scripts" / "keepers.py"


def register() -> tuple[type[KeepersScript], type[KeepersExtras]]:
    """Register the callbacks, which the host has just forgotten, and return the two classes for the host to find."""
    _add("ui_settings", settings.add_settings)
    _add("before_ui", axes.add_axes)
    _add("before_image_saved", _before_saved)
    _add("image_saved", save_hooks.after_saved)
    _add("app_started", _add_routes)
    return KeepersScript, KeepersExtras


def _before_saved(params: Any) -> None:
    """Pictures of the Extras tab and of a job each have their own rules."""
    if sorting.of_extras(params.image) is not None:
        sorting.before_sorted(params)
    else:
        save_hooks.before_saved(params)


def _add(kind: str, callback: Callable[..., Any]) -> None:
    """Register a callback, and say where it comes from if the host lets us.

    Otherwise the host reads the source of everything on the stack to find out, which takes tenths of a second.
    """
    add: Any = getattr(script_callbacks, "add_callback", None)
    callbacks = getattr(script_callbacks, "callback_map", {}).get(f"callbacks_{kind}")
    if add is not None and callbacks is not None and "filename" in inspect.signature(add).parameters:
        add(callbacks, callback, category=kind, filename=str(DOOR))
    else:
        getattr(script_callbacks, f"on_{kind}")(callback)


def _add_routes(demo: Any, app: Any) -> None:
    from .api.routes import add_routes  # imports the server's modules, needed only when there is a server

    add_routes(demo, app)
