"""One model, loaded: from pictures to predictions."""

# pyright: reportUnknownMemberType=false, reportUnknownArgumentType=false
# torch leaves parts of its interface untyped.
from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..prediction import Floats, Labels, Prediction
from ..runtime import Runtime, whole_float32
from ..spec import Build, ModelSpec, Network, Precision, View

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

    from ..weights.store import WeightStore

Prepared = tuple["Tensor", ...]
"""One tensor per view of the model, without batch dimension, on the CPU."""

Shared = Callable[[str, Callable[[], "nn.Module"]], "nn.Module"]


@dataclass(frozen=True)
class Classifier:
    """A model with its net in memory. `prepare` may run in many threads; `predict` in one at a time."""

    spec: ModelSpec
    network: Network
    fingerprint: str
    runtime: Runtime
    device: torch.device

    @classmethod
    def load(
        cls, spec: ModelSpec, store: WeightStore, runtime: Runtime, precision: Precision, shared: Shared | None = None
    ) -> Classifier:
        """Find the weights and build the net, outside any inference mode, so that it stays differentiable.

        `shared` provides modules that several models use; without it, nothing is shared.
        Raises MissingWeights, DownloadFailed, CorruptWeights, UnsafeWeights, WrongWeights.
        """
        import torch

        for file in spec.weights:
            if not file.optional:
                store.path(file, model=spec.id)  # downloads the file if allowed, else raises an error that names it
        device = runtime.torch_device()
        with torch.inference_mode(False), torch.no_grad():
            network = spec.build(Build.over(store, spec.id, precision, device, shared))
            network.module.eval()
        return cls(spec, network, model_fingerprint(spec, store), runtime, device)

    @property
    def labels(self) -> Labels:
        """The labels of every prediction of this model."""
        return self.network.labels

    def prepare(self, image: Image, done: Mapping[View, Tensor] | None = None) -> Prepared:
        """The views of one picture that the net takes. Those in `done` are not computed again."""
        done = done or {}
        return tuple(done[view] if view in done else view(image) for view in self.network.views)

    def predict(self, prepared: Sequence[Prepared]) -> list[Prediction]:
        """One prediction for each prepared picture, in order; all are one batch, whose size the caller chooses."""
        if not prepared:
            return []
        values = self._run(self.network.module, prepared)
        return [self.prediction(row) for row in values]

    def classify(self, images: Sequence[Image]) -> list[Prediction]:
        """Prepare and predict, for callers with a few pictures."""
        return self.predict([self.prepare(image) for image in images])

    def features(self, prepared: Sequence[Prepared]) -> Floats:
        """[B, F] feature vectors, for models whose module offers `features(*views)`.

        Raises AttributeError for models without them: check `has_features` first.
        """
        return self._run(self.network.module.features, prepared)  # pyright: ignore[reportArgumentType]

    @property
    def has_features(self) -> bool:
        """Whether `features` works for this model."""
        return callable(getattr(self.network.module, "features", None))

    def _run(self, function: Callable[..., Tensor], prepared: Sequence[Prepared]) -> Floats:
        import torch

        parts = self.network.parts or (self.network.module,)
        device = self.runtime.place(parts, self.device)
        exactly = whole_float32() if device.type == "cuda" and not self.network.tolerance else nullcontext()
        with torch.inference_mode(), exactly:
            views = [torch.stack(view).to(device, non_blocking=True) for view in zip(*prepared, strict=True)]
            return function(*views).float().cpu().numpy()

    def prediction(self, values: Floats) -> Prediction:
        """The prediction for one picture, from its values [len(labels)]."""
        values = np.array(values, dtype=np.float32)
        label, margin = self.network.name(values)
        return Prediction(
            model=self.spec.id,
            labels=self.network.labels,
            values=values,
            label=label,
            margin=margin,
            tolerance=self.network.tolerance,
            fingerprint=self.fingerprint,
        )


def model_fingerprint(spec: ModelSpec, store: WeightStore) -> str:
    """Identifies what determines a model's values: its id, our version of its arithmetic, and the bytes of its weights.

    Precision is not part of it: a prediction has its own tolerance. Empty if a required file is not on this machine.
    """
    parts = [spec.id, spec.version]
    for file in spec.weights:
        path = store.find(file)
        if path is None and not file.optional:
            return ""
        parts.append(store.fingerprint(path) if path else "")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
