"""Checks that run before anything is generated: for wrong gates, unknown models and missing files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...core.errors import KeepersError, MissingWeights
from ...core.prediction import Failure
from ...core.weights.hub import address, offline
from ...models.registry import REGISTRY
from ..host import host
from .inputs import chosen_gate, one
from .menus import variants
from .scores import wish_gate


def refusal(preset_name: str | None, text: str | None, *, download: bool | None, known: bool = False) -> str:
    """Why a node cannot run with these inputs, before anything is generated; empty when it can.

    A wired input is None here; it is checked when the node runs. With `known`, scores are wired to the node, so it may
    need no model at all.
    """
    if preset_name is None or text is None:
        return ""
    try:
        gate = chosen_gate(preset_name, text)
        host.judge().check(gate)
    except KeepersError as error:
        return str(error)
    return "" if known else missing(gate.models, download=download)


def refusal_of_wish(wish: str | None, *, download: bool | None) -> str:
    """Why images cannot be ranked by this number; empty when they can, or when the input is empty or wired."""
    if not wish or not wish.strip():
        return ""
    try:
        gate = wish_gate(wish)
        host.judge().check(gate)
    except KeepersError as error:
        return str(error)
    return missing(gate.models, download=download)


def refused_model(model: Any, families: Sequence[str], download: Any) -> bool | str:
    """True, or what is wrong with the model chosen in a node's menu; checked before anything is generated.

    `model` and `download` are as ComfyUI passes them to `validate_inputs`; a wired model is not known yet.
    """
    name, known = one(model), variants(families)
    if name is None:
        return True
    if name not in known:
        return f"There is no model {name!r} here. There are: {', '.join(known)}"
    return missing([name], download=one(download)) or True


def missing(models: Iterable[str], *, download: bool | None) -> str:
    """Which file is missing and where it goes, for the first model that lacks one; empty if `download` may be on."""
    if download is not False:
        return ""
    return next(filter(None, map(_missing, models)), "")


def _missing(model: str) -> str:
    files = host.store()
    try:
        for file in REGISTRY.spec(model, files).weights:
            if not file.optional:
                files.path(file, model=model)
    except KeepersError as error:
        return advice(Failure(model, error.code, str(error)))
    return ""


def advice(failure: Failure) -> str:
    """Why a model cannot be loaded, and what the user can do about it on the node."""
    if failure.code != MissingWeights.code or not _published(failure.model):
        return failure.reason
    return f"{failure.reason} Or switch on 'download' on this node."


def _published(model: str) -> bool:
    """Whether a file that a model lacks can be downloaded."""
    if offline():
        return False
    files = host.store()
    try:
        lacking = [file for file in REGISTRY.spec(model, files).weights if files.find(file) is None]
    except KeepersError:
        return False
    return any(address(file) for file in lacking if not file.optional)
