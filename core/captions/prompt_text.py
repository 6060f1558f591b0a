"""What a generation prompt says, without what only steers the generator: weights, LoRA calls, schedules, wildcards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from .text import unique

_CALLS = re.compile(r"<[A-Za-z][\w .-]*:[^<>]*>")
"""<lora:name:0.8>, <lyco:...>, <hypernet:...>, <segment:...>"""
_EMBEDDINGS = re.compile(r"\(?\bembedding:[^\s,()]+(?:\s*:\s*[\d.]+)?\)?", re.IGNORECASE)
_WILDCARDS = re.compile(r"(?<!\w)__[\w*?./-]+?__(?!\w)|\$\{[^{}]*\}")
"""__animals__, __dir/*__, ${variable=...}"""
_WORDS = re.compile(r"(?<!\w)(?:BREAK|AND|ADDCOMM|ADDROW|ADDCOL|ADDBASE)(?!\w)(?:[ \t]*\n)?")
"""Breaks, and the keywords of composed and regional prompts; upper case only, as in the hosts."""
_COMPOSED_WEIGHT = re.compile(r"\s:\s*-?\d+(?:\.\d+)?(?=\s*(?:$|,|\n))")
"""The 1.2 of "a cat AND a dog :1.2"."""
_DOUBLE_COLONS = re.compile(r"-?\d+(?:\.\d+)?::(.*?)::", re.DOTALL)
"""1.3::text::, the numeric emphasis of NovelAI."""
_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*$")
_COMMAS = re.compile(r"\s*,(?:\s*,)*\s*")
_PAIRS = {")": "(", "]": "[", "}": "{"}


def clean_prompt(prompt: str) -> str:
    """The prompt as plain text in one line.

    Emphasis is removed from its words; LoRA calls, embeddings, wildcards and comments are dropped; line breaks and
    BREAK become commas. A schedule [from:to:0.5] leaves what the image ends with, an alternation [a|b] leaves both,
    since the image mixes them, and a random choice {a|b} leaves nothing, since nobody knows which was drawn. Escaped
    brackets are literal.
    """
    text = _without_comments(prompt)
    composed = "AND" in text
    for pattern, put in ((_CALLS, ""), (_EMBEDDINGS, ""), (_WILDCARDS, ""), (_WORDS, ",")):
        text = pattern.sub(put, text)
    if composed:
        text = _COMPOSED_WEIGHT.sub("", text)
    text = _DOUBLE_COLONS.sub(r"\1", text)
    text = _without_emphasis(text)
    text = " ".join(", ".join(text.splitlines()).split())
    text = _COMMAS.sub(", ", text)
    return text.strip(" ,")


def prompt_tags(prompt: str) -> tuple[str, ...]:
    """The parts of the cleaned prompt between its commas, each once."""
    return unique(part.strip() for part in clean_prompt(prompt).split(","))


def _without_comments(text: str) -> str:
    """Without /* comments */, which may span lines, and without lines that begin with # or //."""
    kept: list[str] = []
    position = 0
    while (start := text.find("/*", position)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[position:start])
        position = end + 2
    lines = ("".join(kept) + text[position:]).splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith(("#", "//")))


@dataclass
class _Bracket:
    """An open bracket with what was read since: pieces separated by ":" and "|"."""

    opener: str
    pieces: list[str] = field(default_factory=lambda: [""])
    joints: list[str] = field(default_factory=list[str])

    def text(self) -> str:
        """All of it, as it was written."""
        joined = self.pieces[0]
        for joint, piece in zip(self.joints, self.pieces[1:], strict=True):
            joined += joint + piece
        return joined

    def closed(self) -> str:
        """What remains of it."""
        if self.opener == "{":
            return "" if "|" in self.joints else self.text()
        weighted = self.joints[-1:] == [":"] and _NUMBER.match(self.pieces[-1]) is not None
        if self.opener == "[" and weighted:
            # [to:0.5], [from::0.5], [from:to:0.5]: the piece before the number is what the image ends with.
            return self.pieces[-2] if len(self.pieces) > 1 else ""
        if self.opener == "[" and "|" in self.joints and ":" not in self.joints:
            return " ".join(piece.strip() for piece in self.pieces if piece.strip())
        if weighted:
            self.pieces.pop()
            self.joints.pop()
        return self.text()


def _without_emphasis(text: str) -> str:
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
            open_ones[-1].pieces[-1] += top.closed()
        elif char in ":|" and top.opener:
            top.pieces.append("")
            top.joints.append(char)
        else:
            top.pieces[-1] += char
    return "".join(each.text() for each in open_ones)
