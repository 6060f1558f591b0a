"""Operations on texts that ComfyUI's nodes carry out, within bounds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_TOKEN = re.compile(
    r"\\[bBAZdDsSwWnrtfv.^$*+?()\[\]{}|/\\\-,:;'\"!#&<>=@_~`% ]|\[\^?\]?(?:\\.|[^\]\\\[])*\]|[^\\\[]", re.DOTALL
)
_REPEAT = re.compile(r"[*+?]\??|\{(\d{1,3})(,?)(\d{0,3})\}\??")
_PATTERN_LIMIT = 500
COST_LIMIT = 2_000_000
"""Steps that the regular expressions of one graph may take at most."""
_FIELD = re.compile(r"\{(\w{0,40})\}")

_NUMBERED = re.compile(r"\[(\d{1,3})\]")

CHANGES: Mapping[str, Callable[[str], str]] = {
    "uppercase": str.upper,
    "lowercase": str.lower,
    "capitalize": str.capitalize,
    "title case": str.title,
    "invert_case": str.swapcase,
    "reverse": lambda text: text[::-1],
    "trim": str.strip,
    "both": str.strip,
    "left": str.lstrip,
    "right": str.rstrip,
    "remove_spaces": lambda text: text.replace(" ", ""),
    "true": lambda text: text.replace("\n", "").strip(),
    "false": lambda text: text,
}
"""By what the widgets of the nodes say, in lower case; true and false are StringConstantMultiline's strip_newlines."""


def replaced(text: str, find: str, by: str, limit: int) -> str | None:
    """Python's replace; None if the result would be longer than `limit` characters."""
    if len(text) + max(text.count(find), 0) * (len(by) - len(find)) > limit:
        return None
    return text.replace(find, by)


def filled(template: str, values: Mapping[str, str], limit: int) -> str | None:
    """The template with {name} replaced by values; None if it names others or the result is longer than `limit`."""
    names = _FIELD.findall(template)
    if any(name not in values for name in names):
        return None
    if len(template) + sum(len(values[name]) for name in names) > limit:
        return None
    return _FIELD.sub(lambda found: values[found[1]], template)


def bracketed(template: str, name: str) -> str:
    """A template that has [2] for the input "arg2", with {arg2} instead; other braces are kept as they are."""
    return _NUMBERED.sub(rf"{{{name}\1}}", template)


def tidied(text: str) -> str:
    """What StringFunction does with "tidy_tags"."""
    text = re.sub(r"\s{2,}", " ", text).replace(" ,", ",")
    return re.sub(r",{2,}", ",", text).strip()


def compiled(pattern: str, flags: int) -> re.Pattern[str] | None:
    """The pattern; None if it is none."""
    try:
        return re.compile(pattern, flags)
    except (re.error, OverflowError, RecursionError, ValueError):
        return None


def steps(pattern: str, text: str, flags: int) -> int | None:
    """The most steps that a pattern can take over a text, if repeats are of single characters; else None.

    Look-around, back references, and repeats of groups are not carried out at all.
    """
    if len(pattern) > _PATTERN_LIMIT:
        return None
    cost, at = len(text) + 1, 0
    while at < len(pattern):
        token = _token_at(pattern, at)
        if not token:
            return None
        at += len(token)
        if repeat := _REPEAT.match(pattern, at):
            at = repeat.end()
            if token in ("(", ")", "|"):
                return None
            cost *= 2 if repeat[0][0] == "?" else _longest_run(token, text, flags) + 1
            if cost > COST_LIMIT:
                return None
    return cost


def _token_at(pattern: str, at: int) -> str:
    """The next character, class or escape of a pattern; empty if it is of a kind that is not carried out."""
    if pattern.startswith("(?", at) and not pattern.startswith("(?:", at):
        return ""
    if pattern.startswith("(?:", at):
        return "(?:"
    found = _TOKEN.match(pattern, at)
    return found[0] if found else ""


def _longest_run(token: str, text: str, flags: int) -> int:
    """How often a single character of a pattern matches in a row, at most."""
    try:
        runs = re.findall(f"(?:{token})+", text, flags)
    except re.error:
        return COST_LIMIT
    return max(map(len, runs), default=0)
