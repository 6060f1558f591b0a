"""Models without a net: they measure the picture itself. torch is not imported for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prediction import Prediction
from ..spec import ModelSpec, NetlessModel
from .classifier import model_fingerprint

if TYPE_CHECKING:
    from PIL.Image import Image

    from ..weights.store import WeightStore


@dataclass(frozen=True)
class Netless:
    """One such model. May be called in many threads."""

    spec: ModelSpec
    model: NetlessModel
    fingerprint: str

    @classmethod
    def of(cls, spec: ModelSpec | None, store: WeightStore) -> Netless | None:
        """None for a model with a net, and for none at all."""
        if spec is None or spec.netless is None:
            return None
        return cls(spec, spec.netless, model_fingerprint(spec, store))

    def __call__(self, image: Image) -> Prediction:
        """The exact prediction for one picture, the same that the net from `build` gives."""
        values = np.array(self.model.measure(image), dtype=np.float32)
        label, margin = self.model.name(values)
        return Prediction(
            model=self.spec.id,
            labels=self.model.labels,
            values=values,
            label=label,
            margin=margin,
            fingerprint=self.fingerprint,
        )
