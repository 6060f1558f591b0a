"""Models that only read another model's numbers: if those are known, no picture is opened and no net runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prediction import Prediction
from ..spec import Build, Derivation, ModelSpec
from .classifier import model_fingerprint

if TYPE_CHECKING:
    from ..runtime import Runtime
    from ..weights.store import WeightStore


@dataclass(frozen=True)
class Derived:
    """One such model, ready to be asked."""

    spec: ModelSpec
    derivation: Derivation
    fingerprint: str

    @classmethod
    def load(cls, spec: ModelSpec, store: WeightStore, runtime: Runtime) -> Derived | None:
        """None for a model that looks at pictures itself. Raises what reading its files raises."""
        if spec.derive is None:
            return None
        device = runtime.torch_device()
        given = Build.over(store, spec.id, "exact", device)
        return cls(spec, spec.derive(given), model_fingerprint(spec, store))

    def __call__(self, base: Prediction) -> Prediction:
        """The prediction that follows from the base's, and is as exact as that: its labels state its own drifts."""
        values = self.derivation.values(base.values)
        label, margin = self.derivation.name(values)
        return Prediction(
            model=self.spec.id,
            labels=self.derivation.labels,
            values=np.asarray(values, dtype=np.float32),
            label=label,
            margin=margin,
            tolerance=max(1.0, base.tolerance) if base.tolerance else 0.0,
            fingerprint=self.fingerprint,
        )
