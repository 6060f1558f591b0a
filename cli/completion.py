"""Completions that a shell offers for an option's value. Nothing here loads a net."""

from __future__ import annotations


def model_ids(incomplete: str) -> list[str]:
    """The models whose ids begin with the given text."""
    from ..models.registry import REGISTRY

    return [model for model in REGISTRY.ids() if model.startswith(incomplete)]


def preset_names(incomplete: str) -> list[str]:
    """The presets whose names begin with the given text."""
    from ..models.presets import PRESETS

    return [name for name in PRESETS if name.startswith(incomplete)]


def tagger_ids(incomplete: str) -> list[str]:
    """The taggers whose ids begin with the given text."""
    from ..models.registry import REGISTRY

    return [spec.id for spec in REGISTRY if spec.tags and spec.id.startswith(incomplete)]
