"""Plain values out of JSON and texts that nobody vouches for: a wrong type is an empty value, never an error."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import cast

JSON_LIMIT = 16 << 20
"""Characters of JSON that are parsed."""
NOTHING: Mapping[str, object] = {}
_DIGITS = 40
_LARGEST = 10**_DIGITS
_SIZE = re.compile(r"\D{0,3}(\d{1,6})\s{0,2}[x×*,]\s{0,2}(\d{1,6})\D{0,3}")
_HASHED = re.compile(r"(.{1,200}?)\s+([0-9A-F]{8,16})")


def json_object(text: str) -> Mapping[str, object]:
    """The JSON object that a text is; empty for anything else, JSON that is nested too deeply included."""
    return table(json_value(text)) if text.lstrip()[:1] == "{" else NOTHING


def json_value(text: str) -> object:
    """The JSON that a text is; None if it is none, is longer than `JSON_LIMIT`, or nested too deeply."""
    if len(text) > JSON_LIMIT:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError, MemoryError):
        return None


def table(value: object) -> Mapping[str, object]:
    """A JSON object, or one as a text; empty for anything else."""
    if isinstance(value, str):
        return json_object(value)
    return cast(Mapping[str, object], value) if isinstance(value, dict) else NOTHING


def items(value: object) -> Sequence[object]:
    """A JSON array; empty for anything else."""
    return cast(Sequence[object], value) if isinstance(value, list) else ()


def text(value: object) -> str:
    """A text without blanks at its ends; empty for anything else. An array of texts becomes lines."""
    if isinstance(value, list):
        return "\n".join(filter(None, map(text, items(cast(object, value)))))
    return value.strip() if isinstance(value, str) else ""


def real(value: object) -> float | None:
    """A finite number, or a text that is one."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value[:_DIGITS] if isinstance(value, str) else value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None


def whole(value: object) -> int | None:
    """A whole number, or a text that is one. Seeds can be larger than a float holds exactly."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if abs(value) < _LARGEST else None
    if isinstance(value, str):
        try:
            return int(value.strip()[:_DIGITS])
        except ValueError:
            pass
    number = real(value)
    return int(number) if number is not None and number.is_integer() and abs(number) < _LARGEST else None


def seed(value: object) -> int | None:
    """A seed; a negative one asks for a random seed and says nothing."""
    number = whole(value)
    return number if number is not None and number >= 0 else None


def size(value: object) -> tuple[int | None, int | None]:
    """Width and height of "832x1216" or "(832, 1216)"."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    return (int(found[1]), int(found[2])) if found else (None, None)


def plain_settings(data: Mapping[str, object]) -> dict[str, str]:
    """The entries of an object whose values are a text or a number, as texts."""
    simple = {key: value for key, value in data.items() if isinstance(value, (str, int, float))}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in simple.items()}


def name_and_hash(value: str) -> tuple[str, str]:
    """A model's name and its hash, where one in capitals stands after it: "Diffusion V4 0A1B2C3D"."""
    found = _HASHED.fullmatch(value.strip())
    return (found[1], found[2]) if found else (value.strip(), "")


def file_name(path: str) -> str:
    """The last part of a path, of Windows or not."""
    return re.split(r"[\\/]", path)[-1]
