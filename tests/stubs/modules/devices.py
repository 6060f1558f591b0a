"""A stub of modules.devices: a machine without an accelerator."""

from __future__ import annotations

from typing import Any

collected: list[str] = []
device = "cpu"


def get_optimal_device() -> Any:
    """The device that the host computes on."""
    return "cpu"


def torch_gc() -> None:
    """Give cached memory back; counted by tests."""
    collected.append("gc")
