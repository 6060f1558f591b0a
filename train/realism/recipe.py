"""How a net is trained: the study's recipe, a stronger one, and the net and view of each preset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from ...models.realism.format import Shape
from ...models.realism.view import HALF, Window

Augment = Literal["none", "light", "colour"]
"""light: mirrored and shifted by up to MARGIN pixels; colour: brightness, contrast and saturation change a little too.
Nothing is ever scaled or rotated, which would erase what a generator leaves in the pixels."""
MARGIN = 16


@dataclass(frozen=True)
class TrainingRecipe:
    """Everything that determines a training, apart from the images and the seed."""

    optimiser: Literal["sgd", "adamw"]
    rate: float
    """The largest learning rate."""
    epochs: int
    """The maximum."""
    batch: int
    momentum: float = 0.9
    decay: float = 0.0
    smoothing: float = 0.0
    """Label smoothing."""
    schedule: Literal["constant", "cosine"] = "constant"
    """cosine: rises over the first twentieth of all steps, then falls to 0."""
    augment: Augment = "none"
    stop: Literal["study", "patience"] = "patience"
    """study: after eight epochs, when the training loss moves by less than 0.005; patience: when the validation loss
    has not improved for a third of the epochs."""

    def rate_at(self, step: int, steps: int) -> float:
        """The learning rate at a step of `steps`. It depends on nothing else, so a training can resume anywhere."""
        if self.schedule == "constant":
            return self.rate
        rising = max(1, steps // 20)
        if step < rising:
            return self.rate * (step + 1) / rising
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))

    def is_over(self, losses: Sequence[float], validations: Sequence[float]) -> bool:
        """Whether to stop after epochs with these training and validation losses."""
        done = len(losses)
        if done >= self.epochs:
            return True
        if self.stop == "study":
            return done >= 8 and abs(losses[-1] - losses[-2]) < 0.005
        best = min(range(done), key=lambda epoch: validations[epoch], default=0)
        return done - 1 - best >= max(3, self.epochs // 3)


STUDY = TrainingRecipe("sgd", 1e-3, epochs=15, batch=200, stop="study")
"""As published. The study continued with the same net from one share of the data to the next, and so tested nets that
had seen more than it says; here every training starts afresh."""

MODERN = TrainingRecipe(
    "adamw", 5e-4, epochs=30, batch=64, decay=0.05, smoothing=0.05, schedule="cosine", augment="light", stop="patience"
)
"""Compared with the study's: AdamW with warm-up and cosine decay reaches in fewer epochs what SGD at a constant 1e-3
does not reach in fifteen; mirrored and shifted images and smoothed labels keep a large net from memorising images."""


@dataclass(frozen=True)
class DetectorPreset:
    """What is trained, how, and from what."""

    name: str
    title: str
    shape: Shape
    window: Window
    recipe: TrainingRecipe
    pretrained: bool = False
    """Whether to start from ImageNet weights if they are on this machine."""


GREY = Window()
_PRESETS = (
    DetectorPreset(
        "modern",
        "ResNet-18, trained with AdamW, warm-up, cosine decay, light augmentation and smoothed labels",
        Shape("resnet"),
        GREY,
        MODERN,
        pretrained=True,
    ),
    DetectorPreset("study", "ResNet-18 by the study's recipe (SGD)", Shape("resnet"), GREY, STUDY, pretrained=True),
    DetectorPreset(
        "study-cnn",
        "the study's small net at 250 pixels, as its results were made (--size 224: as its code now stands)",
        Shape("basic", outputs=10),
        Window(250, mean=HALF, std=HALF),
        STUDY,
    ),
    DetectorPreset(
        "small",
        "a residual net of a hundredth of the size: minutes on a CPU, for textures rather than content",
        Shape("resnet", blocks=(1, 1, 1, 1), width=16),
        GREY,
        replace(MODERN, rate=3e-3, epochs=20, batch=32),
    ),
    DetectorPreset(
        "probe",
        "one linear layer over SigLIP's features, or any others (--features): minutes, and fit for new generators",
        Shape("probe", base="siglip"),
        GREY,
        MODERN,
    ),
)
PRESETS = {preset.name: preset for preset in _PRESETS}
