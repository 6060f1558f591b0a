"""The brackets of a prompt: emphasis, schedules, alternations, random choices, and those that belong to a name."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_WEIGHT = re.compile(rf"\s*{NUMBER}\s*")
_AFTER = re.compile(r"\+{1,8}(?![\w+])|-{1,8}(?=\s|,|$)|\d\.\d{1,4}(?![\w.])")
"""InvokeAI writes weights behind brackets: (frame)++, (frame)1.3."""
_ENDS = re.compile(r"[ \t]{0,8}(?:$|[,\n)\]}|]|:[ \t]*[+-]?[\d.])")
"""What follows a tag: its end, that of a bracket, or its weight."""
_PLAIN = re.compile(r"[^\\()\[\]{}:|]+")
_PAIRS = {")": "(", "]": "[", "}": "{"}


@dataclass
class _Bracket:
    """An open bracket with what was read since: pieces separated by ":" and "|"."""

    opener: str
    pieces: list[str] = field(default_factory=lambda: [""])
    joints: list[str] = field(default_factory=list[str])
    emphasised: bool = False
    """Whether a bracket inside was removed."""
    group_end: int = -1
    """Where the last group ended in the present piece."""

    def text(self) -> str:
        """All of it, as it was written."""
        joined = self.pieces[0]
        for joint, piece in zip(self.joints, self.pieces[1:], strict=True):
            joined += joint + piece
        return joined

    def add(self, words: str) -> None:
        """Takes words. A letter right behind a group begins a word of its own."""
        apart = words[0].isalnum() and self.group_end == len(self.pieces[-1])
        self.pieces[-1] += f" {words}" if apart else words

    def add_group(self, text: str) -> None:
        """Takes what remains of a bracket inside. A group right behind another is a tag of its own."""
        before = self.pieces[-1]
        self.emphasised = True
        if not text:
            return
        joint = ", " if self.group_end == len(before) else " " if before[-1:].isalnum() and text[0].isalnum() else ""
        self.pieces[-1] = before + joint + text
        self.group_end = len(self.pieces[-1])

    def part(self, joint: str) -> None:
        """Begins another piece."""
        self.pieces.append("")
        self.joints.append(joint)
        self.group_end = -1

    def closed(self) -> str:
        """What remains of it."""
        if self.opener == "{":
            return "" if "|" in self.joints else self.text()
        weighted = self.joints[-1:] == [":"] and _WEIGHT.fullmatch(self.pieces[-1]) is not None
        if self.opener == "[" and weighted:
            # [to:0.5], [from::0.5], [from:to:0.5]: the piece before the number is what the image ends with.
            return self.pieces[-2] if len(self.pieces) > 1 else ""
        if self.opener == "[" and "|" in self.joints and ":" not in self.joints:
            return " ".join(piece.strip() for piece in self.pieces if piece.strip())
        if weighted:
            self.joints.pop()
            if float(self.pieces.pop()) <= 0:
                return ""
        return self.text()

    def names(self, before: str) -> bool:
        """Whether these are the brackets of a name such as "fubuki (kancolle)", behind the text `before`."""
        text = self.text()
        weighted = self.joints[-1:] == [":"] and _WEIGHT.fullmatch(self.pieces[-1]) is not None
        apart = before[-1:] in (" ", "_") and (before.rstrip(" _")[-1:].isalnum() or before.rstrip(" _")[-1:] == ")")
        sound = bool(text.strip()) and not any(mark in text for mark in ",\n|")
        return self.opener == "(" and apart and sound and not weighted and not self.emphasised


def without_emphasis(text: str) -> str:
    """Resolves brackets of any depth. Unpaired opening ones are dropped; closing ones are kept, as in `:)`."""
    open_ones = [_Bracket("")]
    position = 0
    while position < len(text):
        char = text[position]
        position += 1
        top = open_ones[-1]
        if char == "\\" and text[position : position + 1] in tuple("\\()[]{}:|"):
            top.pieces[-1] += text[position]
            position += 1
        elif char in "([{":
            open_ones.append(_Bracket(char))
        elif char in _PAIRS and top.opener == _PAIRS[char]:
            open_ones.pop()
            position = _close(top, open_ones[-1], text, position)
        elif char in ":|" and top.opener:
            top.part(char)
        else:
            plain = _PLAIN.match(text, position)
            end = plain.end() if plain else position
            top.add(text[position - 1 : end])
            position = end
    return "".join(each.text() for each in open_ones)


def _close(bracket: _Bracket, parent: _Bracket, text: str, position: int) -> int:
    """Hands on what remains of a bracket; gives the position behind what belongs to it."""
    if bracket.names(parent.pieces[-1]) and (_ENDS.match(text, position) or text.startswith((" (", "_("), position)):
        parent.pieces[-1] += f"({bracket.text()})"
        return position
    parent.add_group(bracket.closed())
    after = _AFTER.match(text, position) if bracket.opener == "(" else None
    return after.end() if after else position
