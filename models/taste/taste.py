"""Taste: a linear probe on another model's values, learned from the user's keeps and rejects: `taste:NAME.keep`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...core.errors import KeepersError, WrongWeights
from ...core.prediction import Floats, Labels
from ...core.spec import Build, Derivation, LookUp, ModelSpec, Network
from ...core.weights.checksum import fingerprint
from ...core.weights.weight_file import WeightFile
from .. import provenance, siglip_vector
from ..own_files import own_files
from ..provenance import Provenance

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.weights.store import WeightStore
    from .net import Probe

FOLDER = "taste"
HOW = "keepers tune taste --name NAME"
LABELS = Labels(("keep",), drifts=(("", 0.5),))
"""Before the file is read; then `labels_of` says more."""
GROUPS = {"faramir": ("logit", "raw", "gate", "free", "aesthetic"), "jtp": (), "siglip": (siglip_vector.GROUP,)}
"""The models that a taste can be learned on, each with the groups of labels that a probe reads; () means all."""

FAST_SHARE = 0.05
"""How far bfloat16 may move a probe's probability, for weights of length 1 over inputs of spread 1.

Measured on random nets for SigLIP's vector: up to 0.009.
"""


def weight_file(name: str) -> WeightFile:
    """The file of a learned taste."""
    return WeightFile(name=f"{name}.safetensors", folder=FOLDER, page=HOW, licence="your own")


def base_file(base: ModelSpec) -> WeightFile:
    """The file that the numbers of a base depend on first of all."""
    return base.weights[0]


def columns_of(base: str, labels: Labels) -> list[int]:
    """Which of the base's labels a probe reads, as positions."""
    wanted = GROUPS[base]
    return [index for index in range(len(labels)) if not wanted or labels.group(index) in wanted]


def find(store: WeightStore, look_up: LookUp) -> Iterable[ModelSpec]:
    """The learned tastes in the model folders."""
    return [_spec(name, path, look_up) for name, path in own_files(store, FOLDER)]


def _spec(name: str, path: Path, look_up: LookUp) -> ModelSpec:
    file, model = weight_file(name), f"taste:{name}"
    broken = replace(SPEC, id=model, weights=(file,), build=partial(build, file=file, look_up=look_up), find=None)
    try:
        known = provenance.FORMAT.read_file(path)
    except KeepersError as error:
        return replace(broken, summary=str(error))
    if known.base not in GROUPS:
        return replace(broken, summary=f"{path.name} stands on a model that is not known.")
    base = look_up(known.base)
    return replace(
        broken,
        title=f"Taste: {name}",
        summary=known.summary(),
        source="learned here",
        licence=f"your own; on {base.id}: {base.licence}",
        weights=(file, *base.weights),
        cost=base.cost,
        labels=lambda: labels_of(known),
        gate=f"accept: {model}.keep >= 0.5",
        base=base.id,
        derive=partial(derive, file=file, look_up=look_up),
    )


def build(given: Build, file: WeightFile, look_up: LookUp) -> Network:
    """The base with the probe on top. Raises WrongWeights."""
    from .net import Probe

    known = _checked(given, file, look_up)
    base = look_up(known.base).build(given)
    probe = Probe(base.module, *_parts(given, file, base.labels))
    return Network(
        module=probe,
        labels=labels_of(known),
        views=base.views,
        name=name,
        tolerance=1.0 if given.precision == "fast" else 0.0,
        parts=base.parts or (base.module,),
        batch=base.batch,
    )


def derive(given: Build, file: WeightFile, look_up: LookUp) -> Derivation:
    """From the base's values to the probability of keep. Raises WrongWeights."""
    from .net import head

    known = _checked(given, file, look_up)
    tensors = given.tensors(file)
    probe = head(*(_tensor(tensors[part]) for part in ("columns", "weight", "bias")))
    return Derivation(labels_of(known), partial(_read, probe), name)


def _read(probe: Probe, values: Floats) -> Floats:
    import torch

    from .net import probability

    return probability(probe, torch.from_numpy(np.array(values))).numpy()


def name(values: Floats) -> tuple[str, float]:
    """keep from 0.5, else reject; the margin is the distance from 0.5."""
    keep = float(values[0])
    if np.isnan(keep):
        return "", 0.0
    return "keep" if keep >= 0.5 else "reject", abs(keep - 0.5)


def _checked(given: Build, file: WeightFile, look_up: LookUp) -> Provenance:
    """The file's description, once its base is known to be the one it was learned on. Raises WrongWeights."""
    path = given.path(file)
    known = provenance.FORMAT.describe(given.metadata(file), path)
    if known.kind != "probe" or known.base not in GROUPS:
        raise WrongWeights(path, "a taste", detail=f"it stands on {known.base!r}")
    provenance.require_base(known, fingerprint(given.path(base_file(look_up(known.base)))), path)
    found, wanted = {k: v.ndim for k, v in given.tensors(file).items()}, {"columns": 1, "weight": 1, "bias": 1}
    if found != wanted:
        raise WrongWeights(path, "a taste", missing=wanted.keys() - found, unexpected=found.keys() - wanted)
    columns, weight, bias = (len(given.tensors(file)[part]) for part in wanted)
    if not columns or columns != weight or bias != 1:
        raise WrongWeights(path, "a taste", detail="its tensors do not fit each other")
    return known


def _parts(given: Build, file: WeightFile, labels: Labels) -> tuple[Tensor, Tensor, Tensor]:
    tensors = given.tensors(file)
    columns = _tensor(tensors["columns"])
    if len(columns) and not 0 <= int(columns.min()) <= int(columns.max()) < len(labels):
        raise WrongWeights(given.path(file), "a taste", detail="it reads numbers that its base does not have")
    return columns, _tensor(tensors["weight"]), _tensor(tensors["bias"])


def _tensor(tensor: Tensor) -> Tensor:
    return tensor.long() if not tensor.is_floating_point() else tensor.float()


def labels_of(known: Provenance) -> Labels:
    """The label of a taste, with the drift that its weights make of its base's."""
    length = known.training.get("length")
    drift = min(0.5, FAST_SHARE * float(length)) if isinstance(length, int | float) else 0.5
    return replace(LABELS, drifts=(("", drift),))


def _nothing(given: Build) -> Network:
    given.tensors(SPEC.weights[0])  # never there: the error says how to make one
    raise AssertionError("a taste has a name")


SPEC = ModelSpec(
    id="taste",
    title="Taste",
    summary="Your own taste, learned from your keeps and rejects: see keepers review and keepers tune taste.",
    source="learned here",
    licence="your own",
    weights=(weight_file("NAME"),),
    cost=1.0,
    labels=lambda: LABELS,
    build=_nothing,
    find=find,
    help="A taste has a name: taste:NAME.keep is the probability that you would keep an image.\n"
    "Limits: it is worth what the cross-validation said when it was learned, and only on images like those that you "
    "labelled.",
)
