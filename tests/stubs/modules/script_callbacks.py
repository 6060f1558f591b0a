"""A stub of modules.script_callbacks: lists of callbacks that a reload clears."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Callbacks = list[Callable[..., Any]]
callback_map: dict[str, Callbacks] = {
    name: [] for name in ("ui_settings", "before_ui", "before_image_saved", "image_saved", "app_started")
}


@dataclass
class ImageSaveParams:
    """What save callbacks are given, and may change before the file is written."""

    image: Any
    p: Any
    filename: str
    pnginfo: dict[str, str]


def clear_callbacks() -> None:
    """What "Reload UI" begins with."""
    for callbacks in callback_map.values():
        callbacks.clear()


def on_ui_settings(callback: Callable[..., Any]) -> None:
    """Called when the settings are made."""
    callback_map["ui_settings"].append(callback)


def on_before_ui(callback: Callable[..., Any]) -> None:
    """Called before the panels are made."""
    callback_map["before_ui"].append(callback)


def on_before_image_saved(callback: Callable[..., Any]) -> None:
    """Called before a file is written."""
    callback_map["before_image_saved"].append(callback)


def on_image_saved(callback: Callable[..., Any]) -> None:
    """Called after a file was written."""
    callback_map["image_saved"].append(callback)


def on_app_started(callback: Callable[..., Any]) -> None:
    """Called when the server is up."""
    callback_map["app_started"].append(callback)


def call(name: str, *arguments: Any) -> None:
    """Call the callbacks in order; as in the host, one that fails is passed over."""
    from modules import errors

    for callback in callback_map[name]:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: PERF203 - as the host does it
            errors.report(f"{name}: {error!r}")
