"""Describes models: where their weights are, what they see, how they are built. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Literal, Protocol

from .prediction import Floats, Labels

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from PIL.Image import Image
    from torch import Tensor, nn

    from .judging.near_duplicates import Run
    from .prediction import Prediction
    from .weights.store import WeightStore
    from .weights.weight_file import WeightFile

Precision = Literal["exact", "fast"]


class View(Hashable, Protocol):
    """Turns one image into one input of a net. Views are frozen dataclasses, so that equal ones are computed once."""

    def __call__(self, image: Image) -> Tensor:
        """A float32 tensor on the CPU, without batch dimension. `image` comes from `open_image` and is not modified."""
        ...


@dataclass(frozen=True)
class Network:
    """A net that is ready to use."""

    module: nn.Module
    """module(*views) takes float32 tensors [B, ...], one per view, and returns float32 [B, len(labels)]."""
    labels: Labels
    views: tuple[View, ...]
    name: Callable[[Floats], tuple[str, float]]
    """From the values of one image to its label and margin (see Prediction)."""
    tolerance: float = 0.0
    """How many times the labels' drifts the values may be from the exact ones: 1 for `fast`, 0 for `exact`."""
    parts: tuple[nn.Module, ...] = ()
    """The modules that move to a device as units, each shared one separately; empty means (module,)."""
    batch: int = 0
    """The largest sensible batch on the CPU; 0 means no limit."""


@dataclass(frozen=True)
class Derivation:
    """How a model's values follow from those of its base."""

    labels: Labels
    values: Callable[[Floats], Floats]
    """From the base's values of one image to one's own, [len(labels)]."""
    name: Callable[[Floats], tuple[str, float]]
    """As Network.name."""


@dataclass(frozen=True)
class NetlessModel:
    """What a model without a net does with a picture. Its values are exact at every precision."""

    labels: Labels
    measure: Callable[[Image], Floats]
    """From a picture, as a View gets it, to its values [len(labels)]. Called in many threads."""
    name: Callable[[Floats], tuple[str, float]]
    """As Network.name."""


@dataclass(frozen=True)
class Build:
    """What a model's `build` is given."""

    tensors: Callable[[WeightFile], Mapping[str, Tensor]]
    """Opens a file's tensors, memory-mapped if possible; raises MissingWeights and its siblings."""
    metadata: Callable[[WeightFile], Mapping[str, str]]
    """The text metadata of a safetensors file; empty for others."""
    path: Callable[[WeightFile], Path]
    """Where a file is, for tag lists and for files next to the weights. Raises as `tensors` does."""
    precision: Precision
    device: torch.device
    shared: Callable[[str, Callable[[], nn.Module]], nn.Module]
    """shared(key, make): the module with this key, made on first use and kept as long as any model uses it."""

    @classmethod
    def over(
        cls,
        store: WeightStore,
        model: str,
        precision: Precision,
        device: torch.device,
        shared: Callable[[str, Callable[[], nn.Module]], nn.Module] | None = None,
    ) -> Build:
        """What a model is given on this machine; without `shared`, nothing is shared."""
        return cls(
            tensors=partial(store.tensors, model=model),
            metadata=partial(store.metadata, model=model),
            path=partial(store.path, model=model),
            precision=precision,
            device=device,
            shared=shared or (lambda _key, make: make()),
        )


@dataclass(frozen=True)
class ModelSpec:
    """One classifier, or one variant of it."""

    id: str
    """"coherence", or with a variant "coherence:crop". Public: never changes."""
    title: str
    summary: str
    """One or two sentences for users: what it answers, and its limits."""
    source: str
    """The address of the model's page."""
    licence: str
    build: Callable[[Build], Network]
    weights: tuple[WeightFile, ...] = ()
    cost: float = 0.0
    """GFLOP per image: the cheapest model is asked first."""
    gate: str = ""
    """The model's usual question, as a gate text."""
    labels: Callable[[], Labels] | None = None
    """The labels, if known without the weights, so that a gate can be checked before anything is loaded."""
    version: str = "1"
    """Part of the fingerprint: raised when our preprocessing or arithmetic changes the values."""
    variants: tuple[ModelSpec, ...] = ()
    obtain: Callable[[WeightStore], Path] | None = field(default=None, compare=False)
    """Gets weights that must be converted after a download; `keepers fetch` calls it."""
    find: Callable[[WeightStore, LookUp], Iterable[ModelSpec]] | None = field(default=None, compare=False)
    """Finds variants that the user made (trained detectors, tuned gates) in the model folders."""
    usual: Callable[[WeightStore, LookUp], ModelSpec] | None = field(default=None, compare=False)
    """For a model whose bare id stands for one of the variants that the user made: finds that one, under this id."""
    base: str = ""
    """The model whose values are all that this one reads; `derive` then makes its own of them."""
    derive: Callable[[Build], Derivation] | None = field(default=None, compare=False)
    netless: NetlessModel | None = None
    """For a model that needs neither weights nor a net: it is then asked without torch. `build` gives the same as a
    net, for those that run every model as one."""
    compare: Callable[[Prediction, Run, str], Prediction] | None = None
    """Adds what depends on the other images of a run (near-duplicates); the result is never stored."""
    tags: Mapping[str, float] = field(default_factory=dict[str, float], hash=False)
    """For taggers: the label groups whose labels are tags ("" means all other groups), each with the threshold that
    the card recommends. Other groups, such as "rating", never become tags of a caption. Empty for all other models."""
    help: str = ""
    """Longer text for `keepers models ID`: the card's advice and warnings."""


LookUp = Callable[[str], ModelSpec]
"""Looks up the description of another model by its id. Raises UnknownName."""
