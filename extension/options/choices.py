"""A user's choices for one job, from the panel's fields, an API request's arguments, or an infotext's keys."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, Literal, cast, get_args

from ...core.captions.recipe import CaptionRecipe, Existing
from ...core.captions.recipe_values import changed, recipe_of
from ...core.captions.text import STYLES, Style
from ...core.errors import KeepersError, UnknownName
from ...core.gates.gate import Gate
from ...models.presets import PRESETS, preset

Policy = Literal["keep", "subfolder", "drop"]
POLICIES: tuple[Policy, ...] = get_args(Policy)
EXISTING: tuple[Existing, ...] = get_args(Existing)
CUSTOM = "custom"
"""The preset that means: use the text in the gate field."""
PRESET_TEXTS = frozenset(one.gate.strip() for one in PRESETS.values())
NONE = "none"
MOST_ATTEMPTS = 100


class WrongChoice(KeepersError):
    """A request or the panel asks for something that does not exist, or contradicts itself."""

    code = "choice"


@dataclass(frozen=True)
class Choices:
    """The fields, in the order of the panel and of the API's arguments: append only, never reorder."""

    enabled: bool = False
    preset: str = "signals"
    """A named gate, or "custom" for `gate`."""
    gate: str = ""
    """A gate text. It overrides the preset, unless it is only another preset's text that the panel left there."""
    on_review: Policy = "subfolder"
    on_reject: Policy = "subfolder"
    early: bool = True
    """Whether images that the gate's cheap models reject are removed before face restoration and ADetailer."""
    everything: bool = False
    """Whether every model of the gate is asked, even when the verdict is already settled."""
    attempts: int = 1
    """Make up to this many times as many images, until enough are accepted."""
    wanted: int = 0
    """How many accepted images are enough; 0 means as many as the job asks for."""
    keep_best: bool = False
    """Whether the best image is kept when none passes."""
    tagger: str = NONE
    """The model that writes captions."""
    threshold: float = 0.0
    """The lowest probability of a tag that is used; 0 means what the model's card recommends."""
    style: Style = "booru"
    first: str = ""
    """Words that begin every caption, such as a trigger."""
    exclude: str = ""
    """Tags to leave out: patterns with *, separated by commas."""
    existing: Existing = "skip"
    """What happens to a caption file that already exists."""
    recipe: str = ""
    """Any other option of a caption recipe, as a JSON object."""
    heatmap: str = NONE
    """The model whose heatmap is shown in the gallery."""

    @property
    def gate_text(self) -> str:
        """The text of the gate in force. Raises UnknownName for a preset that does not exist."""
        left = self.preset != CUSTOM and self.gate.strip() in PRESET_TEXTS
        if self.gate.strip() and not left:
            return self.gate
        if self.preset == CUSTOM:
            raise WrongChoice('The preset is "custom", but there is no gate text.')
        return preset(self.preset).gate

    @cached_property
    def parsed_gate(self) -> Gate:
        """The gate. Raises GateError, UnknownName, WrongChoice."""
        return Gate.parse(self.gate_text)

    @property
    def captions(self) -> bool:
        """Whether captions are written."""
        return bool(self.tagger) and self.tagger != NONE

    def caption_recipe(self, extension: str) -> CaptionRecipe:
        """The recipe for captions. Raises RecipeError, UnknownName, WrongChoice."""
        values: dict[str, object] = {"style": self.style, "first": self.first, "exclude": self.exclude}
        values |= {"existing": self.existing, "extension": extension}
        if self.threshold > 0:
            values["threshold"] = self.threshold
        return changed(recipe_of(values), self._more(), "the recipe field")

    def _more(self) -> Mapping[str, object]:
        if not self.recipe.strip():
            return {}
        try:
            found: object = json.loads(self.recipe)
        except (ValueError, RecursionError) as error:
            raise WrongChoice(f"The recipe field is no JSON object: {error}") from error
        if not isinstance(found, dict):
            raise WrongChoice('The recipe field must be a JSON object such as {"limit": 30}.')
        return cast("dict[str, object]", found)


FIELDS = {field.name: field for field in fields(Choices)}
NAMES = tuple(FIELDS)
_DEFAULTS = Choices()


def choices_of(arguments: Sequence[Any], defaults: Choices = _DEFAULTS) -> Choices:
    """The choices in a script's arguments: all values in order, or (enabled, {name: value}).

    Raises WrongChoice, UnknownName.
    """
    given = [bool(arguments[0]), *arguments[1:]] if arguments else []
    if len(given) > 1 and isinstance(given[1], Mapping):
        return chosen({"enabled": given[0], **cast("Mapping[str, Any]", given[1])}, defaults)
    return chosen(dict(zip(NAMES, given, strict=False)), defaults)


def chosen(values: Mapping[str, Any], defaults: Choices = _DEFAULTS) -> Choices:
    """Choices from named values; a missing value or None keeps its default. Raises WrongChoice, UnknownName."""
    for name in values:
        if name not in FIELDS:
            raise UnknownName("Keepers option", name, NAMES)
    read = {name: getattr(defaults, name) for name in NAMES}
    read |= {name: _value(name, value) for name, value in values.items() if value is not None}
    return Choices(**read)


def is_on(arguments: Sequence[Any]) -> bool:
    """Whether the first argument switches Keepers on. Asked for every job, so it looks at nothing else."""
    return bool(arguments) and bool(arguments[0])


def _value(name: str, value: Any) -> Any:
    default = getattr(_DEFAULTS, name)
    allowed = _ALLOWED.get(name)
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise WrongChoice(f"{name} is {value!r}; it must be true or false.")
        return value
    if isinstance(default, (int, float)):
        return _number(name, value, type(default))
    if not isinstance(value, str):
        raise WrongChoice(f"{name} is {value!r}; it must be a text.")
    if allowed is not None and value not in allowed:
        raise UnknownName(f"value of {name}", value, allowed)
    return value


def _number(name: str, value: Any, kind: type[int] | type[float]) -> int | float:
    low, high = _BOUNDS[name]
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
        raise WrongChoice(f"{name} is {value!r}; it must lie between {low} and {high}.")
    return kind(value)


_ALLOWED: Mapping[str, Sequence[str]] = {
    "preset": (*PRESETS, CUSTOM),
    "on_review": POLICIES,
    "on_reject": POLICIES,
    "style": STYLES,
    "existing": EXISTING,
}
_BOUNDS = {"attempts": (1, MOST_ATTEMPTS), "wanted": (0, 10_000), "threshold": (0.0, 1.0)}


def schema() -> dict[str, object]:
    """The options with their types, defaults and allowed values, for programs that build a request."""
    return {name: _described(name) for name in NAMES}


def _described(name: str) -> dict[str, object]:
    default = getattr(_DEFAULTS, name)
    described: dict[str, object] = {"type": type(default).__name__, "default": default}
    if name in _ALLOWED:
        described["choices"] = list(_ALLOWED[name])
    if name in _BOUNDS:
        described["minimum"], described["maximum"] = _BOUNDS[name]
    return described
