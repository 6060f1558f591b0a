"""Models that run where pictures are decoded, and so need no stage of their own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.spec import ModelSpec


def inline(specs: Iterable[ModelSpec]) -> list[str]:
    """The models that run where pictures are decoded: those at the start of the order that need no files."""
    return [spec.id for spec in itertools.takewhile(is_free, specs)]


def is_free(spec: ModelSpec) -> bool:
    """Whether a model needs no files, and looks at pictures itself."""
    return not spec.base and all(file.optional for file in spec.weights)
