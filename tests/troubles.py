"""What keeps an image from being judged, for the tests that run every door over all of it.

Each trouble strikes one model, or the pixels of one picture. `GATE` asks the cheap model first: it rejects a dark
picture and sends a middling one to review, so both are judged whatever becomes of the dear model. A bright one needs
that too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from keepers.core.gates.unjudged import Kind
from keepers.tests.tiny import TinyNet

DARK, MIDDLING, BRIGHT = (20, 20, 20), (100, 100, 100), (240, 230, 220)
GATE = "reject: cheap.good < 0.3; review: cheap.good < 0.5; accept: dear.good >= 0.5"


@dataclass(frozen=True)
class Trouble:
    """One of the ways."""

    kind: Kind
    """As the verdict says it."""
    told: str
    """A part of the reason."""
    error: Exception | None = None
    """What the net raises."""
    pixels: bool = False
    """Whether it is the picture's own: the model is sound."""


TROUBLES = {
    "failure": Trouble("failure", "RuntimeError: the sky fell", RuntimeError("the sky fell")),
    "NaN score": Trouble("not_a_number", "gave no number"),
    "NaN pixels": Trouble("not_a_number", "NaN", pixels=True),
    "missing file": Trouble("missing", "is not on this machine"),
    "out of memory": Trouble("failure", "OutOfMemoryError", torch.cuda.OutOfMemoryError("all of it is taken")),
}


def strike(name: str, model: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Trouble:
    """Break a model whose file is in `folder`. Trouble with pixels is for the test to bring in."""
    trouble, file = TROUBLES[name], folder / f"{model}.safetensors"
    if name == "missing file":
        file.unlink()
    elif name == "NaN score":
        save_file({"weight": torch.full((3,), torch.nan)}, file)
    elif trouble.error is not None:
        monkeypatch.setattr(TinyNet, "forward", _failing(model, trouble.error))
    return trouble


def _failing(model: str, error: Exception) -> object:
    sound = TinyNet.forward

    def forward(self: TinyNet, views: Tensor) -> Tensor:
        if self.name.startswith(f"{model} "):
            raise error
        return sound(self, views)

    return forward
