"""Which gate a command uses: a text, a file, a preset, or the usual gates of the models named."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ..core.errors import KeepersError, UnknownName
from ..core.gates.combine import all_of
from ..core.gates.gate import Gate
from ..core.settings import read_settings
from ..core.weights.store import WeightStore
from ..models.presets import PRESETS, preset
from ..models.registry import REGISTRY
from .completion import model_ids, preset_names
from .options import Fields, in_panel

_option = in_panel("Gate")
DEFAULT = "signals"
"""The preset that needs no files."""


@dataclass(frozen=True)
class GateOptions:
    """The ways to name a gate; at most one of the three is given."""

    gate: Annotated[
        str,
        _option("--gate", "-g", help='The gate, as "accept: coherence.coherent >= 0.5"; @FILE reads it from a file.'),
    ] = ""
    preset: Annotated[
        str,
        _option("--preset", "-p", help=f"A named gate: {', '.join(PRESETS)}.", autocompletion=preset_names),
    ] = ""
    model: Annotated[
        list[str] | None,
        _option(
            "--model", "-m", help="Use this model's usual gate; repeatable: all must accept.", autocompletion=model_ids
        ),
    ] = None

    def __bool__(self) -> bool:
        """Whether any gate is named."""
        return bool(self.gate or self.preset or self.model)

    def named(self, store: WeightStore) -> Gate | None:
        """The gate that the options name; None if they name none. Raises GateError, UnknownName, KeepersError."""
        return self.chosen(store) if self else None

    def chosen(self, store: WeightStore) -> Gate:
        """The gate that the options name, or the user's default. Raises GateError, UnknownName, KeepersError."""
        if sum(map(bool, (self.gate, self.preset, self.model))) > 1:
            raise KeepersError("--gate, --preset and --model exclude each other: give only one of them.")
        if self.gate:
            return Gate.parse(_read(self.gate))
        if self.model:
            return all_of([_usual(model, store) for model in self.model])
        return Gate.parse(preset(self.preset).gate) if self.preset else _default()


TextOrPreset = Annotated[GateOptions, Fields("gate", "preset")]
"""For commands where --model means something else, or does not exist."""


def _default() -> Gate:
    """The preset of the user's settings, else the one that needs no files. Raises UnknownName."""
    settings = read_settings()
    if settings.preset and settings.preset not in PRESETS:
        raise UnknownName("preset", settings.preset, PRESETS, where=settings.sources["preset"])
    return Gate.parse(preset(settings.preset or DEFAULT).gate)


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
        raise KeepersError(f"{model} has no usual gate; say what to keep with --gate.")
    return Gate.parse(spec.gate)
