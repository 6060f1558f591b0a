"""How tags are compared, and how captions spell them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Literal, get_args

Style = Literal["booru", "e621", "spaces", "json"]
STYLES: tuple[Style, ...] = get_args(Style)

SEPARATORS: dict[Style, str] = {"booru": ", ", "e621": ", ", "spaces": " ", "json": ", "}
"""What separates two tags unless the recipe says otherwise."""

_BLANK = re.compile(r"[\s_]+")
_ESCAPED_PARENTHESIS = re.compile(r"\\(?=[()])")
_BACKSLASHES = re.compile(r"\\{2,}")
_SPECIAL = re.compile(r"([\\()])")
_ESCAPED = re.compile(r"\\([\\()])")
_LIST_BREAK = re.compile(r"[,\n\r]+")


def normal(tag: str) -> str:
    """The form in which tags are compared: case folded, one underscore for any blanks, parentheses not escaped.

    It is idempotent, and the same for a tag in every style: "Long Hair", "long_hair"; "fox \\(cute\\)", "fox_(cute)".
    """
    text = _ESCAPED_PARENTHESIS.sub("", _BACKSLASHES.sub(r"\\", tag)).casefold() if "\\" in tag else tag.casefold()
    return "_".join(part for part in _BLANK.split(text) if part) or ("_" if "_" in text else "")


def escape(tag: str) -> str:
    """A tag for a prompt box, where a bare parenthesis would be emphasis: backslashes before ( ) and \\."""
    return _SPECIAL.sub(r"\\\1", tag)


def unescape(tag: str) -> str:
    """The inverse of `escape`."""
    return _ESCAPED.sub(r"\1", tag)


def is_kaomoji(tag: str) -> bool:
    """Whether a tag is a face such as ^_^, >_<, o_o, (o)_(o) or ._. whose underscore is its mouth.

    A rule, not a list: one underscore between two short parts with at most one letter or digit each. If both parts are
    a single letter or digit, the letters must be equal; any two digits will do. A blank counts as an underscore,
    because other tools may have replaced it.
    """
    parts = _BLANK.split(tag.strip(" \t\r\n"))
    if len(parts) != 2 or not all(part and len(part) <= 4 and sum(map(str.isalnum, part)) <= 1 for part in parts):
        return False
    left, right = parts
    if left.isalnum() and right.isalnum():
        return left.casefold() == right.casefold() or (left.isdigit() and right.isdigit())
    return True


def spell(tag: str, style: Style, escaped: bool = False) -> str:
    """A tag as a style writes it: with underscores for "e621" and "spaces", else with blanks; kaomoji keep theirs."""
    joint = "_" if style in ("e621", "spaces") or is_kaomoji(tag) else " "
    text = joint.join(part for part in _BLANK.split(tag) if part) or tag.strip()
    return escape(text) if escaped else text


def split_list(text: str) -> tuple[str, ...]:
    """The entries of a list that a user typed, separated by commas or lines; empty entries are left out."""
    return tuple(part for part in (piece.strip() for piece in _LIST_BREAK.split(text)) if part)


def unique(tags: Iterable[str]) -> tuple[str, ...]:
    """The tags without those that have the normal form of an earlier one."""
    first: dict[str, str] = {}
    for tag in tags:
        first.setdefault(normal(tag), tag)
    first.pop("", None)
    return tuple(first.values())


def matcher(patterns: Sequence[str]) -> Callable[[str], bool]:
    """A test of normal forms against patterns in which `*` stands for any text and nothing else is special.

    A kaomoji (`*_*`) and `\\*` are literal.
    """
    exact: set[str] = set()
    globs: list[tuple[str, ...]] = []
    for pattern in patterns:
        pieces = _pieces(pattern)
        if len(pieces) == 1:
            exact.add(pieces[0])
        else:
            globs.append(pieces)
    return lambda tag: tag in exact or any(_fits(pieces, tag) for pieces in globs)


def _pieces(pattern: str) -> tuple[str, ...]:
    text = normal(pattern)
    if is_kaomoji(text):
        return (text,)
    return tuple(piece.replace("\\*", "*") for piece in re.split(r"(?<!\\)\*+", text))


def _fits(pieces: tuple[str, ...], tag: str) -> bool:
    """Whether a tag consists of these pieces with any text between them; takes linear time for every pattern."""
    first, *middle, last = pieces
    if len(tag) < len(first) + len(last) or not tag.startswith(first) or not tag.endswith(last):
        return False
    position, end = len(first), len(tag) - len(last)
    for piece in middle:
        found = tag.find(piece, position, end)
        if found < 0:
            return False
        position = found + len(piece)
    return True
