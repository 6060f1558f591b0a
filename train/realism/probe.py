"""A linear probe: logistic regression over the features of a frozen backbone.

Fitted to convergence with L-BFGS in float64, so the result is deterministic. The validation images choose the strength
of the regularisation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ...core.errors import WriteFailed
from ...core.pictures.open import open_image

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from .collect import Sample

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""The factors of the squared weights in the loss that are tried."""

Features = Callable[[Sequence["Image"]], "NDArray[np.float32]"]
"""From pictures to [B, width]."""


@dataclass(frozen=True)
class RealismProbe:
    """A trained probe: logits are (features - mean) * scale @ weight.T + bias."""

    mean: Tensor
    scale: Tensor
    weight: Tensor
    """[classes, width]"""
    bias: Tensor
    strength: float
    validation: float
    """The accuracy on the validation images."""

    def tensors(self) -> dict[str, Tensor]:
        """Under the names of `models.nets.realism.Probe`."""
        return {"mean": self.mean, "scale": self.scale, "fc.weight": self.weight, "fc.bias": self.bias}

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """[N, classes]"""
        scaled = (torch.from_numpy(features) - self.mean) * self.scale
        return F.linear(scaled, self.weight, self.bias).softmax(1).numpy()


def features_of(
    samples: Sequence[Sample],
    features: Features,
    path: Path,
    width: int,
    *,
    batch: int,
    progress: Callable[[int, int], None],
) -> NDArray[np.float32]:
    """[N, width], stored in a file batch by batch, so that an interrupted call can resume. Raises WriteFailed."""
    row = 4 * width
    written = path.stat().st_size // row if path.is_file() else 0
    done = len(samples) if written >= len(samples) else written // batch * batch
    try:
        with path.open("r+b" if path.is_file() else "w+b") as file:
            file.truncate(done * row)
            file.seek(done * row)
            for start in range(done, len(samples), batch):
                part = samples[start : start + batch]
                found = features([open_image(sample.path) for sample in part])
                file.write(np.ascontiguousarray(found, dtype="<f4").tobytes())
                file.flush()
                progress(start + len(part), len(samples))
    except OSError as error:
        raise WriteFailed(path, error) from error
    return np.fromfile(path, dtype="<f4").reshape(len(samples), width)


def fit_realism_probe(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
    classes: int,
) -> RealismProbe:
    """The probe with the smallest validation loss."""
    chosen = torch.from_numpy(features[train]).double()
    mean, scale = chosen.mean(0), 1 / chosen.std(0).clamp_min(1e-6)
    scaled = (torch.from_numpy(features).double() - mean) * scale
    truth = torch.from_numpy(labels)
    counts = torch.bincount(truth[train], minlength=classes).clamp_min(1)
    balance = len(train) / (classes * counts.double())
    found: list[tuple[float, RealismProbe]] = []
    for strength in STRENGTHS:
        weight, bias = _minimised(scaled[train], truth[train], balance, strength, classes)
        logits = scaled[validation] @ weight.T + bias
        loss = float(F.cross_entropy(logits, truth[validation], weight=balance))
        right = float((logits.argmax(1) == truth[validation]).double().mean())
        made = (mean.float(), scale.float(), weight.float(), bias.float())
        found.append((loss, RealismProbe(*made, strength=strength, validation=right)))
    return min(found, key=lambda pair: pair[0])[1]


def _minimised(
    features: Tensor, truth: Tensor, balance: Tensor, strength: float, classes: int
) -> tuple[Tensor, Tensor]:
    weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([weight, bias], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        value = F.cross_entropy(features @ weight.T + bias, truth, weight=balance) + strength * weight.square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        search.step(loss)
    return weight.detach(), bias.detach()
