"""A job's choices as infotext keys, and back into the panel when a user pastes them.

A key may hold letters, spaces, "-" and "/", as the hosts' own pattern allows. Only values that differ from the
defaults are written, so an infotext stays short.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ...core.errors import KeepersError
from ...models.presets import PRESETS
from .choices import CUSTOM, FIELDS, NAMES, PRESET_TEXTS, Choices

VERDICT = "Keepers"
REASON = "Keepers reason"
KEYS: Mapping[str, str] = {
    name: f"Keepers {name.replace('_', ' ')}" for name in NAMES if name not in ("enabled", "heatmap")
}
"""By option. The verdict's own key stands for `enabled`."""


def written(choices: Choices) -> dict[str, str]:
    """The infotext keys and values for the choices."""
    plain = Choices()
    differing = [n for n in KEYS if n not in ("preset", "gate") and getattr(choices, n) != getattr(plain, n)]
    return {**_gate(choices), **{KEYS[name]: _text(getattr(choices, name)) for name in differing}}


def _gate(choices: Choices) -> dict[str, str]:
    if choices.preset in PRESETS and choices.gate.strip() in ("", *PRESET_TEXTS):
        return {KEYS["preset"]: choices.preset}
    return {KEYS["gate"]: _one_line(choices)}


def _one_line(choices: Choices) -> str:
    try:
        lines = str(choices.parsed_gate)  # without comments: on one line they would swallow the clauses after them
    except KeepersError:
        lines = choices.gate
    return "; ".join(line.strip() for line in lines.splitlines() if line.strip())


def _text(value: object) -> str:
    return str(value).replace("\n", "; ")


def pasted(name: str) -> Callable[[Mapping[str, Any]], Any]:
    """A function that reads one option from an infotext's parameters; None leaves the panel's field as it is.

    An infotext of Keepers sets every field: an option that it does not name returns to its default.
    """
    return lambda parameters: _read(name, parameters)


def _read(name: str, parameters: Mapping[str, Any]) -> Any:
    if VERDICT not in parameters:
        return None
    if name == "enabled":
        return True
    if name == "preset":
        return parameters.get(KEYS[name], CUSTOM if KEYS["gate"] in parameters else FIELDS[name].default)
    if name == "gate":
        known = PRESETS.get(parameters.get(KEYS["preset"], ""))
        return parameters.get(KEYS["gate"], known.gate if known else "")
    found = parameters.get(KEYS[name])
    return FIELDS[name].default if found is None else _typed(name, str(found))


def _typed(name: str, text: str) -> Any:
    default = FIELDS[name].default
    if isinstance(default, bool):
        return text.strip().lower() == "true"
    if isinstance(default, (int, float)):
        try:
            return type(default)(float(text))
        except ValueError:
            return default
    return text
