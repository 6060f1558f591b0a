"""Which gate a command uses: a text, a file, a preset, or the usual question of the models named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ..core.errors import KeepersError
from ..core.gates.combine import all_of
from ..core.gates.gate import Gate
from ..core.weights.store import WeightStore
from ..models.presets import PRESETS, preset
from ..models.registry import REGISTRY

GateText = Annotated[
    str,
    typer.Option("--gate", "-g", help='The gate, as "accept: coherence.coherent >= 0.5"; @FILE reads it from a file.'),
]
PresetName = Annotated[str, typer.Option("--preset", "-p", help=f"A named gate: {', '.join(PRESETS)}.")]
ModelNames = Annotated[
    list[str] | None, typer.Option("--model", "-m", help="Use this model's usual gate; repeatable: all must accept.")
]

DEFAULT = "signals"
"""The preset that needs no files."""


def chosen_gate(text: str, name: str, models: Sequence[str] | None, store: WeightStore) -> Gate:
    """The gate that the options name, or the default. Raises GateError, UnknownName, KeepersError."""
    if sum(map(bool, (text, name, models))) > 1:
        raise KeepersError("--gate, --preset and --model exclude each other: give one of them.")
    if text:
        return Gate.parse(_read(text))
    if models:
        return all_of([_usual(model, store) for model in models])
    return Gate.parse(preset(name or DEFAULT).gate)


def _read(text: str) -> str:
    if not text.startswith("@"):
        return text
    try:
        return Path(text[1:]).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise KeepersError(f"The gate file {text[1:]} cannot be read ({error}).") from error


def _usual(model: str, store: WeightStore) -> Gate:
    spec = REGISTRY.spec(model, store)
    if not spec.gate:
        raise KeepersError(f"{model} has no usual gate; say what is to be kept with --gate.")
    return Gate.parse(spec.gate)
