"""Parses the infotext of A1111, Forge and their relatives: prompt, negative prompt, one line of settings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_NEGATIVE = re.compile(r"\s{0,8}negative prompt:", re.IGNORECASE)
_POSITIVE = re.compile(r"(?:positive )?prompt:\s{0,8}", re.IGNORECASE)
"""What some programs put in front of the prompt."""
_NAME = re.compile(r"(\w[\w \-/]{1,99}):[ \t]{0,8}")
_QUOTED = re.compile(r'"(?:\\.|[^\\"])+"(?=,|\n|$)', re.DOTALL)
_BARE = re.compile(r"[^,\n]*")
"""Together the hosts' own pattern, but names have a maximum length, so that every text takes linear time."""
_STEPS = re.compile(r"\s{0,8}Steps:\s{0,8}\d{1,6}\s{0,8}(?:,|$)")
_INLINE = re.compile(r"[ .,]{1,8}(?=Steps: \d{1,6}, ?(?:Sampler|Seed|CFG scale|Schedule type): )")
_INLINE_NEGATIVE = re.compile(r"[ .,]{1,8}(?=[Nn]egative [Pp]rompt: )")
_LIMIT = 1 << 18
_MOST_JSON = 16
_JSON = json.JSONDecoder()


class Infotext(NamedTuple):
    """What an infotext says."""

    positive: str
    negative: str
    settings: Mapping[str, str]
    """By the host's names: "Steps", "Sampler", "Seed", "Size", "Model", ..."""


def parse_infotext(text: str) -> Infotext | None:
    """The parts of an infotext; None if the text has no line of settings.

    The hosts look only at the last line. But extensions append lines after it, so the last line that begins with
    "Steps:" and a number counts, or without one the last line, if it has at least three settings. Tools that write a
    text into one line are understood as well.
    """
    lines = _lines(text)
    if not any(map(_STEPS.match, lines)) and _INLINE.search(text[:_LIMIT]):
        lines = _lines(_INLINE_NEGATIVE.sub("\n", _INLINE.sub("\n", text[:_LIMIT])))
    for at in _candidates(lines):
        settings = _settings("\n".join(lines[at:]))
        if len(settings) >= 3 or (settings and _STEPS.match(lines[at])):
            return Infotext(*_prompts(lines[:at]), settings)
    return None


def parse_prompts(text: str) -> tuple[str, str]:
    """The positive and the negative prompt of an infotext that has no settings."""
    return _prompts(_lines(text))


def has_negative(text: str) -> bool:
    """Whether a line of the text begins a negative prompt, as infotexts have it."""
    return any(map(_NEGATIVE.match, _lines(text)))


def _lines(text: str) -> list[str]:
    return text.strip().splitlines() if "\n" not in text else text.strip().split("\n")


def _candidates(lines: list[str]) -> list[int]:
    steps = [i for i in range(len(lines) - 1, -1, -1) if _STEPS.match(lines[i])]
    return [*steps[:3], len(lines) - 1] if lines else []


def _settings(text: str) -> dict[str, str]:
    if len(text) > _LIMIT or ":" not in text:
        return {}
    found: dict[str, str] = {}
    for name, value in _pairs(text):
        found.setdefault(name, value)
    return found


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    """The settings in order. A value is bare, quoted, or JSON, as those of the Civitai generator are."""
    at, tries = 0, _MOST_JSON
    while name := _NAME.search(text, at):
        start = name.end()
        if quoted := _QUOTED.match(text, start):
            value, at = _unquoted(quoted[0]), quoted.end()
        elif text[start : start + 1] in ("[", "{") and tries and (end := _json_end(text, start)):
            value, at, tries = text[start:end], end, tries - 1
        else:
            bare = _BARE.match(text, start)
            value, at = (bare[0].strip(), bare.end()) if bare else ("", start)
        yield name[1], value


def _json_end(text: str, start: int) -> int:
    try:
        return _JSON.raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return 0


def _unquoted(value: str) -> str:
    try:
        return str(json.loads(value))
    except (ValueError, RecursionError):
        return value


def _prompts(lines: list[str]) -> tuple[str, str]:
    lines = [line.strip() for line in lines]
    at = next((i for i, line in enumerate(lines) if _NEGATIVE.match(line)), len(lines))
    rest = [_NEGATIVE.sub("", line, count=1).strip() if _NEGATIVE.match(line) else line for line in lines[at:]]
    positive = "\n".join(lines[:at]).strip()
    said = _POSITIVE.match(positive)
    return positive[said.end() if said else 0 :], "\n".join(rest).strip()
