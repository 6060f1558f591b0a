"""Records what FARAMIR's own modules learn in a few steps, for tests/train/taste/test_step.py.

Run by hand where torch and timm are:  python tests/parity/taste_step_original.py FARAMIR_CHECKOUT
The original's head runs in training mode with all its dropouts; the random masks come from numpy, so that ours can be
given the same. Nothing of the original is kept.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from random_weights import random_weights  # noqa: E402

OUT = HERE.parent / "data" / "taste" / "step.npz"
IMAGES, STEPS, RATE, DECAY = 24, 6, 4e-4, 0.01
TUNED = ("linear_3", "activation_2", "linear_4")


class Masks(torch.nn.Module):
    """Stands where the original has its dropout: multiplies by the masks of a list, one a call."""

    def __init__(self, masks: list[torch.Tensor | float]) -> None:
        super().__init__()
        self.masks = masks

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.masks.pop(0)


def masks(step: int) -> dict[str, torch.Tensor]:
    """The random numbers of one step, from numpy."""
    random = np.random.RandomState(100 + step)
    drawn = random.rand(IMAGES, 40).astype(np.float32)
    keep = (drawn[:, 30:] >= 0.2).astype(np.float32) / np.float32(0.8)
    return {
        name: torch.from_numpy(part)
        for name, part in (("classes", drawn[:, :30]), ("free", keep[:, :2]), ("hidden", keep[:, 2:]))
    }


def main() -> None:
    """Write the golden file."""
    sys.path.insert(0, sys.argv[1])
    import model

    head = model.ClassifierHead()
    shapes = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    weights = random_weights(shapes)
    weights["activation_2.gamma_p"][:3] = [1e-4, -2e-4, 3e-4]  # so near 0 that a step makes them negative
    head.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    random = np.random.RandomState(7)
    experts = [torch.from_numpy(random.randn(IMAGES, width).astype(np.float32)) for width in (1152, 16, 128)]
    keep = torch.from_numpy((random.rand(IMAGES, 1) < 0.5).astype(np.float32))
    found: dict[str, np.ndarray] = {"keep": keep[:, 0].numpy()}
    head.linear_2.register_forward_hook(lambda _m, _i, out: found.__setitem__("linear_2", out.detach().numpy().copy()))
    named = dict(head.named_parameters())
    tuned = [name for name in named if name.startswith(TUNED)]
    decaying = [name for name in tuned if name.endswith(".weight")]
    groups = [
        {"params": [named[name] for name in decaying], "weight_decay": DECAY},
        {"params": [named[name] for name in tuned if name not in decaying], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    for name, parameter in named.items():
        parameter.requires_grad_(name in tuned)
    head.train()
    for step in range(STEPS):
        given = masks(step)
        head.dropout = Masks([1.0, 1.0, given["free"], given["hidden"]])
        torch.rand_like = lambda _like, given=given: given["classes"]
        decision = head(*experts)[1]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(decision, keep)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        head.step()
        found[f"loss {step}"] = loss.detach().numpy()
        for name in tuned if step in (0, STEPS - 1) else ():
            found[f"step {step} head.{name}"] = named[name].detach().numpy().copy()
    for name in tuned:
        found[f"start head.{name}"] = weights[name]
    for name in set(named) - set(
        tuned
    ):  # the original's step also drops the sign of a gamma_p whose sign means nothing
        assert np.array_equal(np.abs(named[name].detach().numpy()), np.abs(weights[name])), name
    np.savez_compressed(OUT, **found)


if __name__ == "__main__":
    main()
