"""Faces made of brackets, such as >:( and (^_^), which are tags and no emphasis."""

from __future__ import annotations

import re

_BRACKETS = "()[]{}"
_HIDDEN = "\ufdd0\ufdd1\ufdd2\ufdd3\ufdd4\ufdd5"
"""Characters that no text holds, in place of the brackets of faces."""
_HIDE = str.maketrans(_BRACKETS, _HIDDEN)
_SHOW = str.maketrans(_HIDDEN, _BRACKETS)
_FORGET = dict.fromkeys(map(ord, _HIDDEN))
_OPEN = r"[>}]?[:;=][-'^o]?[(\[{]"
_SAD = re.compile(rf"(?<![\w(:]){_OPEN}(?=\s*(?:,|$|\n))|(?<=\(){_OPEN}(?=\s*:\s*[\d.]+\s*\))")
"""A face with an open mouth, where a tag ends: :(, >:(, :'(; or alone in brackets with a weight."""
_GLAD = re.compile(r"(?:^|(?<=[,\n]))[ \t]{0,8}[>}]?[:;=][-'^o]?[)\]}](?=\s*(?:,|$|\n))")
"""A face that is a tag of its own: :), ;), :-]."""
_ROUND = re.compile(
    r"(?:\\|[~*<oヽ])?\(([^\w\s()]|[TtOo0UuXx])([_.oOwW3ω∀▽д-]{1,2})([^\w\s()]|[TtOo0UuXx])\)[/~*>oノ]?"
)
"""A face in a frame: (^_^), (>_<), \\(^o^)/, (T_T)."""
_EYES = re.compile(r"\(([oO0^.])\)_\(([oO0^.])\)")
_MIRRORED = {"><", "<>"}


def hide_faces(text: str) -> str:
    """The text with the brackets of faces made unrecognisable, until `show_faces`."""
    text = text.translate(_FORGET)
    for pattern in (_SAD, _GLAD, _EYES):
        text = pattern.sub(lambda found: found[0].translate(_HIDE), text)
    return _ROUND.sub(_hidden_face, text)


def show_faces(text: str) -> str:
    """The text with the brackets of its faces."""
    return text.translate(_SHOW)


def _hidden_face(found: re.Match[str]) -> str:
    alike = found[1] == found[3] or found[1] + found[3] in _MIRRORED
    return found[0].translate(_HIDE) if alike else found[0]
