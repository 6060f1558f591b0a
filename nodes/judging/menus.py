"""The contents of the nodes' menus: the registry's models with the variants on this machine, and caption recipes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import folder_paths

from ...core.captions.recipe_file import recipe_names
from ...core.errors import KeepersError
from ...core.spec import ModelSpec
from ...models.registry import REGISTRY
from ..host import host

NONE = "none"


def variants(families: Iterable[str]) -> list[str]:
    """The ids of these models and all their variants, including those that the user trained."""
    files = host.store()
    known = [spec for spec in REGISTRY if spec.id in set(families)]
    return [each.id for spec in known for each in (spec, *REGISTRY.variants(spec, files))]


def taggers() -> list[ModelSpec]:
    """The models that have tags, with their variants."""
    files = host.store()
    return [each for spec in REGISTRY if spec.tags for each in (spec, *REGISTRY.variants(spec, files))]


def label_names(models: Iterable[str]) -> list[str]:
    """The labels of several models, each once, as far as they are known without the weights."""
    files = host.store()
    found: dict[str, None] = {}
    for model in models:
        labels = REGISTRY.spec(model, files).labels
        found.update(dict.fromkeys(labels().names if labels else ()))
    return list(found)


def recipes() -> list[str]:
    """The caption recipes in the model folder, as "file.toml#name"."""
    found: list[str] = []
    for name in folder_paths.get_filename_list(host.KEY):
        if name.endswith(".toml") and (path := recipe_path(name)) is not None:
            try:
                found += [f"{name}#{one}" for one in recipe_names(path)] or [name]
            except KeepersError:
                continue  # reported when somebody names it; a menu is no place for errors
    return found


def recipe_path(name: str) -> Path | None:
    """The file of a recipe in the menu; nothing outside the model folders is ever found."""
    file = name.partition("#")[0]
    if file not in folder_paths.get_filename_list(host.KEY):
        return None
    path = folder_paths.get_full_path(host.KEY, file)
    return Path(path) if path else None
