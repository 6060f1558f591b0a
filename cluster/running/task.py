"""What every worker of a scan knows: the gate, the models, and how they run. Sent to each worker once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

from ...core.captions.recipe import CaptionRecipe
from ...core.gates.gate import Gate
from ...core.gates.tree import models_in
from ...core.judging.better import KeepDuplicate
from ...core.judging.judge import Registry
from ...core.pictures.open import PIXEL_LIMIT
from ...core.prediction import Labels
from ...core.runtime import Runtime
from ...core.spec import ModelSpec, View
from ...core.weights.store import WeightStore
from ...models.registry import REGISTRY
from ..output.schema import ModelColumn


@dataclass(frozen=True)
class Weights:
    """Where a worker finds weight files."""

    folders: Sequence[Path] = ()
    explicit: Mapping[str, Path] = field(default_factory=dict[str, Path])
    download: bool = False

    def store(self) -> WeightStore:
        """The weight files on the machine this runs on."""
        return WeightStore(self.folders or None, explicit=self.explicit, download=self.download)


@dataclass(frozen=True)
class TriedModel:
    """One model of the scan, as found when it was tried before the start."""

    model: str
    labels: Labels
    views: tuple[View, ...]
    fingerprint: str
    cost: float
    """As ModelSpec.cost: the cheapest is asked first."""
    free: bool
    """Whether it needs no files: it then runs where pictures are decoded."""
    compared: bool
    """Whether its answer also depends on earlier images of the run."""
    seconds: float = 0.0
    """The time one image took when it was tried, on one machine."""


@dataclass(frozen=True)
class Task:
    """One scan, the same for all its workers."""

    gate: str
    models: tuple[TriedModel, ...] = ()
    """Those of the gate, then the taggers for captions."""
    taggers: tuple[str, ...] = ()
    recipe: CaptionRecipe | None = None
    """How captions are made; None writes none."""
    everything: bool = False
    weights: Weights = field(default_factory=Weights)
    device: str = "auto"
    precision: Literal["auto", "exact", "fast"] = "auto"
    """Resolved before the stages start."""
    batch: int = 8
    threads: int = 0
    """torch's threads in a worker that runs a net on the processor; 0 leaves the choice to torch."""
    floor: float | None = 0.05
    """Values of taggers below it are not written; None writes all."""
    tolerances: Mapping[str, float] = field(default_factory=dict[str, float])
    """By model, where the output knows that fast numbers were further off than stated."""
    pixel_limit: int = PIXEL_LIMIT
    keep: KeepDuplicate = "largest"
    """Which of near-duplicates is kept."""
    registry: Registry = REGISTRY

    @cached_property
    def parsed(self) -> Gate:
        """The gate."""
        return Gate.parse(self.gate)

    @cached_property
    def tried(self) -> Mapping[str, TriedModel]:
        """The models as they were tried, by id."""
        return {one.model: one for one in self.models}

    @cached_property
    def in_turn(self) -> tuple[str, ...]:
        """The gate's models in the order in which they are asked: cheapest first, as in the judge."""
        return tuple(sorted(self.parsed.models, key=lambda model: self.tried[model].cost))

    @cached_property
    def free(self) -> tuple[str, ...]:
        """The models at the start of `in_turn` that need no files."""
        found = [self.tried[model].free for model in self.in_turn]
        return self.in_turn[: found.index(False) if False in found else len(found)]

    @cached_property
    def staged(self) -> tuple[str, ...]:
        """The models that get a stage of their own, in order."""
        later = self.in_turn[len(self.free) :]
        return (*later, *(tagger for tagger in self.taggers if tagger not in self.in_turn))

    @property
    def compares(self) -> bool:
        """Whether a verdict may depend on other images."""
        return any(self.tried[model].compared for model in self.parsed.models)

    @cached_property
    def columns(self) -> tuple[ModelColumn, ...]:
        """How the models' predictions are stored."""
        return tuple(self._column(one) for one in self.models)

    def _column(self, one: TriedModel) -> ModelColumn:
        if self.floor is None or not self.spec(one.model).tags:
            return ModelColumn(one.model, one.fingerprint, one.labels)
        named = [value.label for value in self.parsed.values if value.model == one.model]
        floor = min([self.floor, *self._thresholds(one.model)])  # captions may later be rewritten from what is kept
        return ModelColumn(one.model, one.fingerprint, one.labels, floor, tuple(dict.fromkeys(named)))

    def _thresholds(self, model: str) -> list[float]:
        """The thresholds from which captions may use a tagger's tags; none if it contributes to no caption."""
        tagger = next((one for one in self.recipe.taggers if one.model == model), None) if self.recipe else None
        if self.recipe is None or tagger is None:
            return []
        own = self.recipe.threshold if tagger.threshold is None else tagger.threshold
        usual = [own] if own is not None else [0.0] if self.recipe.top else [*self.spec(model).tags.values()]
        weight = max(1.0, tagger.weight)
        return [threshold / weight for threshold in (*usual, *(one for _, one in self.recipe.thresholds))]

    def spec(self, model: str) -> ModelSpec:
        """A model's description. Raises UnknownName."""
        return self.registry.spec(model, self.weights.store())

    def runtime(self) -> Runtime:
        """How nets run here."""
        return Runtime(device=self.device, precision=self.precision)


def compared_with(gate: Gate) -> Mapping[str, frozenset[str]]:
    """For each model of the gate, the others whose numbers its own are compared with, as in a.good > b.good."""
    found: dict[str, frozenset[str]] = {}
    for link in gate.links:
        both = frozenset(models_in(link))
        found |= {model: found.get(model, frozenset()) | both - {model} for model in both}
    return found
