"""FARAMIR with a decision of the user's own: `faramir:NAME`, as `keepers tune faramir` writes it.

Only three layers differ from the published ones: head.linear_3, head.activation_2, head.linear_4. They read 32 numbers
that every stored prediction of FARAMIR holds, so an image that was scored once is judged anew without a net.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ...core.errors import KeepersError, WrongWeights
from ...core.prediction import Floats
from ...core.spec import Build, Derivation, LookUp, ModelSpec, Network
from ...core.weights.checksum import fingerprint
from ...core.weights.weight_file import WeightFile
from .. import provenance
from ..own_files import own_files
from .labels import LABELS, LOGITS, name
from .own import OWN

if TYPE_CHECKING:
    from torch import Tensor

    from ...core.weights.store import WeightStore
    from .net import Faramir, Head

FOLDER = "faramir-tuned"
HOW = "keepers tune faramir --name NAME"
PREFIX = "head."
TRAINED = ("linear_3.", "activation_2.", "linear_4.")
RESERVED = ("fixed",)


def weight_file(name: str) -> WeightFile:
    """The file of a tuned decision."""
    return WeightFile(name=f"{name}.safetensors", folder=FOLDER, page=HOW, licence="your own")


def find(base: ModelSpec, store: WeightStore, look_up: LookUp) -> Iterable[ModelSpec]:  # noqa: ARG001 (the contract of every model)
    """The tuned decisions in the model folders."""
    return [_spec(base, name, path) for name, path in own_files(store, FOLDER) if name not in RESERVED]


def _spec(base: ModelSpec, name: str, path: Path) -> ModelSpec:
    file = weight_file(name)
    try:
        summary = provenance.FORMAT.read_file(path).summary()
    except KeepersError as error:
        summary = str(error)
    return replace(
        base,
        id=f"faramir:{name}",
        title=f"FARAMIR tuned: {name}",
        summary=summary,
        source="tuned here",
        weights=(file, *base.weights),
        variants=(),
        find=None,
        gate=f"accept: faramir:{name}.accept >= 0.5",
        build=partial(build, base=base, file=file),
        base="faramir",
        derive=partial(derive, file=file),
    )


def build(given: Build, base: ModelSpec, file: WeightFile) -> Network:
    """The published ensemble with the tuned layers in place. Raises WrongWeights."""
    network = base.build(given)
    net = cast("Faramir", network.module)
    load_head(net.own.head, _tensors(given, file), given.path(file))
    return network


def derive(given: Build, file: WeightFile) -> Derivation:
    """From FARAMIR's values to those of the tuned decision. Raises WrongWeights."""
    head = decision(_tensors(given, file), given.path(file))
    return Derivation(LABELS, partial(decide_again, head), name)


def decide_again(head: Head, values: Floats) -> Floats:
    """All columns of FARAMIR's prediction, with the decision's three computed anew."""
    import torch

    with torch.inference_mode():
        logit = head.decide(torch.from_numpy(decision_inputs(values[None])))[0, 0]
        accept = float(logit.sigmoid())
    changed = np.array(values, dtype=np.float32)
    for label, value in (("accept", accept), ("confidence", accept), ("accept logit", float(logit))):
        changed[LABELS.index(label)] = value
    return changed


def decision_inputs(values: Floats) -> Floats:
    """The 32 numbers that the decision reads, from FARAMIR's values, [n, columns] to [n, 32]."""
    free = LABELS.index("free 1")
    return np.concatenate([values[:, LOGITS], values[:, free : free + 2]], axis=1)


def decision(tensors: Mapping[str, Tensor], path: object) -> Head:
    """A head with the tuned layers alone; the others stay empty and are never used."""
    from ...core.weights.assign import build_on_meta
    from .net import Head

    head = build_on_meta(lambda: Head(1))
    load_head(head, tensors, path)
    return head


def load_head(head: Head, tensors: Mapping[str, Tensor], path: object) -> None:
    """Put the tuned layers into a head. Raises WrongWeights."""
    wanted = {name: tensor for name, tensor in head.state_dict().items() if name.startswith(TRAINED)}
    found = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items()}
    if found.keys() != wanted.keys() or any(found[name].shape != wanted[name].shape for name in wanted):
        raise WrongWeights(path, "a tuned FARAMIR", missing=wanted.keys() - found, unexpected=found.keys() - wanted)
    head.load_state_dict({name: found[name].float() for name in wanted}, strict=False, assign=True)


def _tensors(given: Build, file: WeightFile) -> Mapping[str, Tensor]:
    """The tuned tensors, once their base is known to be the one they were tuned on. Raises WrongWeights."""
    path = given.path(file)
    known = provenance.FORMAT.describe(given.metadata(file), path)
    provenance.require_base(known, fingerprint(given.path(OWN)), path)
    return given.tensors(file)
