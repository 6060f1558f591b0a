"""What all tests share: the same random numbers each time, no network beyond this machine, and a home of their own."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

HOMES = ("HOME", "USERPROFILE", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LOCALAPPDATA", "HF_HOME")
LOCAL = {"127.0.0.1", "::1", "localhost"}

# A shell that starts this in the background has it ignore Ctrl-C, and what tests start and then stop would too.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """Seeds numpy; torch is seeded by the tests that use its randomness."""
    np.random.seed(0)


@pytest.fixture(autouse=True)
def own_width(monkeypatch: pytest.MonkeyPatch) -> None:
    """COLUMNS decides how wide a test's console is; one made while a test had set COLUMNS would keep that width."""
    if module := sys.modules.get("keepers.cli.console"):
        monkeypatch.setattr(module.console, "_width", None)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection to anything but this machine fails the test that makes it."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOCAL:
            raise AssertionError(f"a test tried to reach {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test sees or touches the user's own models, store or caches."""
    home = tmp_path_factory.mktemp("home")
    for name in (
        "HOME",
        "USERPROFILE",
        "XDG_CACHE_HOME",
        "XDG_DATA_HOME",
        "XDG_CONFIG_HOME",
        "LOCALAPPDATA",
        "HF_HOME",
    ):
        monkeypatch.setenv(name, str(home))
    for name in ("KEEPERS_MODELS", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return home
