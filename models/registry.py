"""Every model that Keepers knows: one line each. Importing this loads neither torch nor timm."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..core.errors import UnknownName
from ..core.spec import ModelSpec
from . import aesthetic, arniqa, coherence, jtp, siglip_vector, wd
from .faramir import faramir
from .furry import furry
from .realism import realism
from .signals import signals
from .taste import taste

if TYPE_CHECKING:
    from ..core.weights.store import WeightStore


class Registry:
    """Finds a model, or a variant of one, by its id."""

    def __init__(self, *specs: ModelSpec) -> None:
        self._specs = {spec.id: spec for spec in specs}

    def __iter__(self) -> Iterator[ModelSpec]:
        return iter(self._specs.values())

    def ids(self) -> tuple[str, ...]:
        """The ids of all models, without variants."""
        return tuple(self._specs)

    def variants(self, spec: ModelSpec, store: WeightStore | None) -> tuple[ModelSpec, ...]:
        """The variants of a model: first those that come with Keepers, then the user's own."""
        made = spec.find(store, self.spec) if spec.find and store is not None else ()
        return (*spec.variants, *made)

    def spec(self, model: str, store: WeightStore | None = None) -> ModelSpec:
        """The description of "faramir" or "faramir:mine". Raises UnknownName, with close matches."""
        family, _, variant = model.partition(":")
        found = self._specs.get(family)
        if found is None:
            raise UnknownName("model", model, self._specs)
        if not variant:
            return found.usual(store, self.spec) if found.usual and store is not None else found
        variants = {one.id: one for one in self.variants(found, store)}
        if model not in variants:
            raise UnknownName("model", model, variants)
        return variants[model]


REGISTRY = Registry(
    signals.SPEC,
    coherence.SPEC,
    realism.SPEC,
    jtp.SPEC,
    furry.SPEC,
    wd.SPEC,
    faramir.SPEC,
    aesthetic.SPEC,
    arniqa.SPEC,
    siglip_vector.SPEC,
    taste.SPEC,
)

EXPLAINED = ("faramir", "realism", "coherence")
"""The models whose nets show where in a picture they found their answer."""
