"""What a linear probe reads: the features of a backbone that Keepers has, or of any of timm's."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...core.errors import KeepersError, UnknownName, WrongWeights
from ...core.pictures.preprocess import Preprocess
from ...core.spec import Build, LookUp
from ...core.weights.weight_file import WeightFile

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ...core.spec import View

TIMM = "timm:"
NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)?")


@dataclass(frozen=True)
class Base:
    """A frozen backbone."""

    features: Callable[..., Tensor]
    """Views to [B, width]."""
    views: tuple[View, ...]
    parts: tuple[nn.Module, ...]
    """The modules to be moved to a device."""


def base_files(base: str, look_up: LookUp) -> tuple[WeightFile, ...]:
    """The files of a backbone; `look_up` finds a model of Keepers by id. Raises UnknownName."""
    if base == "siglip":
        from ..siglip import SIGLIP

        return (SIGLIP,)
    if base.startswith(TIMM):
        return (_timm_file(_timm_name(base)),)
    return look_up(base).weights


def backbone(base: str, given: Build, look_up: LookUp) -> Base:
    """The backbone with its weights: "siglip", "timm:NAME", or a model of Keepers that has features.

    Raises UnknownName, KeepersError for a model without features, and what the weight readers raise.
    """
    if base == "siglip":
        from ..aesthetic import VIEW
        from ..siglip import tower

        trunk = tower(given)
        return Base(trunk, (VIEW,), (trunk,))
    if base.startswith(TIMM):
        return _timm(base, given)
    network = look_up(base).build(given)
    features = getattr(network.module, "features", None)
    if features is None:
        raise KeepersError(f"{base} has no features to read; siglip, furry, jtp and timm:NAME have.")
    return Base(features, network.views, network.parts or (network.module,))


def _timm_name(base: str) -> str:
    name = base.removeprefix(TIMM)
    if not NAME.fullmatch(name):
        raise UnknownName("timm model", name, ())
    return name


def _timm_file(name: str) -> WeightFile:
    return WeightFile("model.safetensors", repo=f"timm/{name}", folder=f"timm-{name}", licence="see its page")


def _timm(base: str, given: Build) -> Base:
    import timm

    name = _timm_name(base)
    if not timm.is_model(name):
        raise UnknownName("timm model", name, timm.list_models())
    file = _timm_file(name)
    net = timm.create_model(name, pretrained=False, num_classes=0)
    tensors = given.tensors(file)
    wanted = net.state_dict()
    missing = [key for key in wanted if key not in tensors]
    if missing:
        raise WrongWeights(given.path(file), base, missing=missing)
    net.load_state_dict({key: tensors[key] for key in wanted})
    net.eval()
    known: Mapping[str, Any] = net.pretrained_cfg  # pyright: ignore[reportAssignmentType]  timm sets it on its nets
    mean, std = (tuple(float(value) for value in known[key]) for key in ("mean", "std"))
    # Not scaled, as for the other detectors: scaling would wipe out a generator's traces in the pixels.
    view = Preprocess(known["input_size"][-1], "window", mean=(mean[0], mean[1], mean[2]), std=(std[0], std[1], std[2]))
    return Base(net, (view,), (net,))
