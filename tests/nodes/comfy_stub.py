"""What the tests of the ComfyUI nodes share: a stub host with its folders below a test's own, and pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import folder_paths
import pytest
import server
import torch
from comfy import cli_args, model_management
from comfy_api.io import HiddenHolder

from keepers.nodes.gate import ALL, BLOCK
from keepers.nodes.host import host

MACHINE: dict[str, Any] = {"batch_size": [8], "precision": ["auto"], "download": [False]}
GATE: dict[str, Any] = {"preset": ["signals"], "gate": [""], "keep": [ALL], "best": [1], "rank_by": [""]}
GATE |= {"if_none_pass": [BLOCK], **MACHINE}
SCORE: dict[str, Any] = {"preset": ["signals"], "gate": [""], "every_model": [False], **MACHINE}


@pytest.fixture
def comfy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[server.PromptServer]:
    """A stub of ComfyUI whose folders lie in the test's own; gives the server, which remembers what it was told."""
    folder_paths.set_base(tmp_path)
    for name in ("output", "input", "models/keepers"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.setenv("KEEPERS_MODELS", "")
    running = server.PromptServer()
    monkeypatch.setattr(server.PromptServer, "instance", running)
    monkeypatch.setattr(model_management, "interrupted", False)
    monkeypatch.setattr(cli_args.args, "disable_metadata", False)
    model_management.loaded.clear()
    host.register_folder()
    yield running
    model_management.loaded.clear()


def run(node: type[Any], hidden: Any = None, **inputs: Any) -> Any:
    """What a node answers: it runs as the engine runs it, on a clone of its class that holds the hidden inputs."""
    clone = type(node.__name__, (node,), {"hidden": hidden or HiddenHolder("7")})
    return clone.execute(**inputs)


def good(count: int, size: int = 96, seed: int = 0) -> torch.Tensor:
    """[count, size, size, 3]: soft random pictures, neither noise nor blur nor copies of each other."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.nn.functional.interpolate(
            torch.rand(count, 3, cells, cells, generator=generator), (size, size), mode="bicubic"
        )
        / weight
        for cells, weight in ((4, 1.6), (16, 3), (64, 6))
    ]
    return torch.stack(parts).sum(0).clamp(0, 1).permute(0, 2, 3, 1).contiguous()


def batch(kinds: str, size: int = 96) -> torch.Tensor:
    """Pictures by kind, as "good,black,nan"."""
    names = kinds.split(",")
    images = good(len(names), size)
    for index, name in enumerate(names):
        if name == "black":
            images[index] = 0
        elif name in ("nan", "inf"):
            images[index, 3, 5] = float(name)
    return images
