"""Called by scripts/keepers.py at every load of the host's scripts, and again at "Reload UI"."""

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
    """Hand the callbacks to the host, which has just forgotten all, and the two classes to the door."""
    _add("ui_settings", settings.add_settings)
    _add("before_ui", axes.add_axes)
    _add("before_image_saved", _before_saved)
    _add("image_saved", save_hooks.after_saved)
    _add("app_started", _add_routes)
    return KeepersScript, KeepersExtras


def _before_saved(params: Any) -> None:
    """The Extras tab's pictures, and those of a job, each have their own place."""
    if sorting.of_extras(params.image) is not None:
        sorting.before_sorted(params)
    else:
        save_hooks.before_saved(params)


def _add(kind: str, callback: Callable[..., Any]) -> None:
    """Register a callback; where the host lets us say who we are, it need not find out.

    It finds out by reading the source of all that is on the stack, which takes some tenths of a second each time.
    """
    add: Any = getattr(script_callbacks, "add_callback", None)
    callbacks = getattr(script_callbacks, "callback_map", {}).get(f"callbacks_{kind}")
    if add is not None and callbacks is not None and "filename" in inspect.signature(add).parameters:
        add(callbacks, callback, category=kind, filename=str(DOOR))
    else:
        getattr(script_callbacks, f"on_{kind}")(callback)


def _add_routes(demo: Any, app: Any) -> None:
    from .api.routes import add_routes  # the server's modules are needed only where there is a server

    add_routes(demo, app)
