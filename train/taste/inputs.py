"""From FARAMIR's stored predictions to the inputs that its decision is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ...models.faramir.labels import CLASSES, LABELS
from .decision import Inputs

if TYPE_CHECKING:
    from numpy.typing import NDArray


def inputs_from_predictions(values: NDArray[np.float32]) -> Inputs:
    """The class values before their gates, the gates, and the free values, from predictions [n, columns]."""
    raw, gate = (LABELS.index(f"{CLASSES[0]} {kind}") for kind in ("raw", "gate"))
    free, count = LABELS.index("free 1"), len(CLASSES)
    table = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    return Inputs(table[:, raw : raw + count], table[:, gate : gate + count], table[:, free : free + 2])
