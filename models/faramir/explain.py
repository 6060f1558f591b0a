"""Why FARAMIR decided as it did: its classes with their gates, and what each input adds to the decision.

Everything is computed from a stored prediction and the decision's own layers; the picture is not needed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...core.prediction import Prediction
from .labels import ACCEPTED, CLASSES, REJECTED

if TYPE_CHECKING:
    from .net import Head

STEPS = 512
FREE = ("free 1", "free 2")


@dataclass(frozen=True)
class Reason:
    """One class: its logit, and how much of that the gate let through."""

    label: str
    raw: float
    """Logit before the gate."""
    gate: float
    """0 (closed) to 1 (open)."""
    value: float
    """Raw times gate: an input of the decision."""


@dataclass(frozen=True)
class Contribution:
    """One of the 32 inputs of the decision."""

    label: str
    value: float
    adds: float
    """What it adds to the decision's logit on the way from all inputs at 0 to this picture's inputs."""
    slope: float
    """The slope of the logit with respect to it, at this picture."""


@dataclass(frozen=True)
class Explanation:
    """`start` plus all `adds` is `logit`, up to the error of numeric integration (below 0.001)."""

    prediction: Prediction
    accepting: tuple[Reason, ...]
    """The nine, strongest first."""
    rejecting: tuple[Reason, ...]
    """The 21, strongest first."""
    contributions: tuple[Contribution, ...]
    """All 32, by absolute contribution, largest first."""
    start: float
    """The decision's logit with all inputs at 0: every gate closed, every class silent."""
    logit: float
    """The decision's logit for this picture."""


def explain(prediction: Prediction, head: Head) -> Explanation:
    """Explain a prediction of FARAMIR, or of a variant with its own decision. `head` holds the decision's layers."""
    names = (*(f"{label} logit" for label in CLASSES), *FREE)
    inputs = np.array([prediction[name] for name in names], dtype=np.float32)
    adds, slopes, start, logit = attribute(inputs, head)
    found = [
        Contribution(label, float(value), float(add), float(slope))
        for label, value, add, slope in zip((*CLASSES, *FREE), inputs, adds, slopes, strict=True)
    ]
    return Explanation(
        prediction=prediction,
        accepting=_reasons(prediction, ACCEPTED),
        rejecting=_reasons(prediction, REJECTED),
        contributions=tuple(sorted(found, key=lambda one: -abs(one.adds))),
        start=start,
        logit=logit,
    )


def attribute(inputs: np.ndarray, head: Head) -> tuple[np.ndarray, np.ndarray, float, float]:
    """Integrated gradients of the decision from zero, the gradient at the picture, and the logits at both ends.

    Chosen over gradient times input because the decision is not linear: only along the whole path do the parts add up
    to the difference they are to explain. Zero is not an arbitrary start: it is the value behind a closed gate.
    """
    import torch

    with torch.inference_mode(False), torch.enable_grad():
        device = head.linear_3.weight.device
        end = torch.tensor(inputs, dtype=torch.float32, device=device)
        middles = (torch.arange(STEPS, dtype=torch.float32, device=device) + 0.5) / STEPS
        points = torch.cat([middles, middles.new_tensor([0.0, 1.0])])[:, None] * end
        points.requires_grad_()
        logits = head.decide(points)
        (gradients,) = torch.autograd.grad(logits.sum(), points)
    adds = gradients[:STEPS].mean(0) * end
    return adds.cpu().numpy(), gradients[-1].cpu().numpy(), *logits[-2:].detach()[:, 0].tolist()


def _reasons(prediction: Prediction, classes: tuple[str, ...]) -> tuple[Reason, ...]:
    found = [
        Reason(
            label,
            raw=prediction[f"{label} raw"],
            gate=1.0 / (1.0 + float(np.exp(-prediction[f"{label} gate"]))),
            value=prediction[f"{label} logit"],
        )
        for label in classes
    ]
    return tuple(sorted(found, key=lambda reason: -reason.value))
