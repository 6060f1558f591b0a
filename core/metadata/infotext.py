"""Parses the infotext of A1111, Forge and their relatives: prompt, negative prompt, one line of settings."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import NamedTuple

_NEGATIVE = "Negative prompt:"
_SETTING = re.compile(r'(\w[\w \-/]{1,99}):[ \t]{0,8}("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
"""The hosts' own pattern, but names have a maximum length, so that every text takes linear time."""
_LINE_LIMIT = 1 << 18


class Infotext(NamedTuple):
    """What an infotext says."""

    positive: str
    negative: str
    settings: Mapping[str, str]
    """By the host's names: "Steps", "Sampler", "Seed", "Size", "Model", ..."""


def parse_infotext(text: str) -> Infotext | None:
    """The parts of an infotext; None if the text has no line of settings.

    The hosts look only at the last line. But extensions append lines after it, so the last line that begins with
    "Steps:" counts, or without one the last line.
    """
    lines = text.strip().splitlines() if "\n" not in text else text.strip().split("\n")
    for at in _candidates(lines):
        settings = _settings(lines[at])
        if len(settings) >= 3:
            return Infotext(*_prompts(lines[:at]), settings)
    return None


def _candidates(lines: list[str]) -> list[int]:
    steps = [i for i in range(len(lines) - 1, -1, -1) if lines[i].lstrip().startswith("Steps:")]
    return [*steps[:3], len(lines) - 1] if lines else []


def _settings(line: str) -> dict[str, str]:
    if len(line) > _LINE_LIMIT:
        return {}
    return {key: _unquoted(value.strip()) for key, value in _SETTING.findall(line)}


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != '"' or value[-1] != '"':
        return value
    try:
        return str(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _prompts(lines: list[str]) -> tuple[str, str]:
    lines = [line.strip() for line in lines]
    at = next((i for i, line in enumerate(lines) if line.startswith(_NEGATIVE)), len(lines))
    rest = [line.removeprefix(_NEGATIVE).strip() if line.startswith(_NEGATIVE) else line for line in lines[at:]]
    return "\n".join(lines[:at]).strip(), "\n".join(rest).strip()
