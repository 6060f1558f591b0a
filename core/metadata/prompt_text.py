"""What a generation prompt says, without what only steers the generator: weights, LoRA calls, schedules, wildcards."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .prompts.brackets import NUMBER, without_emphasis
from .prompts.faces import hide_faces, show_faces

_CALLS = re.compile(r"<[A-Za-z][\w .-]*:[^<>]*>")
"""<lora:name:0.8>, <lyco:...>, <hypernet:...>, <segment:...>"""
_EMBEDDINGS = re.compile(r"\(?\bembedding:[^\s,()]+(?:\s*:\s*[\d.]+)?\)?", re.IGNORECASE)
_WILDCARDS = re.compile(r"(?<!\w)__[\w*?./-]+?__(?!\w)|\$\{[^{}]*\}")
"""__animals__, __dir/*__, ${variable=...}"""
_WORDS = re.compile(r"(?<!\w)(?:BREAK|ADDCOMM|ADDROW|ADDCOL|ADDBASE)(?!\w)(?:[ \t]*\n)?")
"""Breaks, and the keywords of regional prompts; upper case only, as in the hosts."""
_AND = re.compile(r"(?<!\w)AND(?!\w)")
_COMPOSED_WEIGHT = re.compile(rf"\s:\s*({NUMBER})(?=\s*(?:$|,|\n))")
"""The 1.2 of "a cat AND a dog :1.2"."""
_NUMERIC = re.compile(r"(?<![\w.:])([+-]?\d{1,4}(?:\.\d{1,6})?)::")
"""The beginning of 1.3::text::, the numeric emphasis of NovelAI."""
_PARTS = re.compile(rf"::({NUMBER})(?=\s|,|$)")
"""The weights of Midjourney's "hot dog::2 mustard::1"."""
_PLUSES = re.compile(r"(?<=[^\W\d_]{3})\+{2,}(?=\s|,|$)")
"""The weights of InvokeAI's "noisy++"; a single plus may be meant."""
_LEFT_OVER = re.compile(r"(?<=[^\d\s:,])\s*:\s*[+-]?\d*\.\d+\s*\)?(?=\s*(?:,|$))")
"""A weight whose brackets are not paired."""
_COMMAS = re.compile(r"\s*,(?:\s*,)*\s*")
_MOST_PASSES = 16


def clean_prompt(prompt: str) -> str:
    """The prompt as plain text in one line. Cleaning it again changes nothing.

    Emphasis is removed from its words, and with a weight of zero or less the words go as well; LoRA calls, embeddings,
    wildcards and comments are dropped; line breaks and BREAK become commas. A schedule [from:to:0.5] leaves what the
    image ends with, an alternation [a|b] leaves both, since the image mixes them, and a random choice {a|b} leaves
    nothing, since nobody knows which was drawn. Brackets stay in faces, and around what tells tags of one name apart:
    "fubuki (kancolle)", with or without backslashes.
    """
    text = _pass(prompt)
    for _ in range(_MOST_PASSES):
        before, text = text, _pass(text)
        if text == before:
            break
    return text


def _pass(prompt: str) -> str:
    text = hide_faces(_without_comments(prompt))
    for pattern, put in ((_CALLS, ""), (_EMBEDDINGS, ""), (_WILDCARDS, ""), (_WORDS, ",")):
        text = pattern.sub(put, text)
    text = _composed(text)
    text = "".join(_without_numeric(text))
    text = without_emphasis(text)
    text = " ".join(", ".join(text.splitlines()).split())
    for pattern, put in ((_PARTS, ", "), (_PLUSES, ""), (_LEFT_OVER, "")):
        text = pattern.sub(put, text)
    return _COMMAS.sub(", ", show_faces(" ".join(text.split()))).strip(" ,")


def _composed(text: str) -> str:
    """Without the weights of prompts that AND composes, and without those prompts whose weight is not positive."""
    parts = _AND.split(text)
    if len(parts) < 2:
        return text
    kept = (part for part in parts if not _is_against(part))
    return _COMPOSED_WEIGHT.sub("", ",".join(kept))


def _is_against(part: str) -> bool:
    found = re.search(rf"\s:\s{{0,8}}({NUMBER})\s*$", part[-80:])
    return found is not None and float(found[1]) <= 0


def _without_numeric(text: str) -> Iterator[str]:
    """The texts between 1.2:: and ::, and all outside; a weight that is never closed holds to the end."""
    at = 0
    while found := _NUMERIC.search(text, at):
        yield text[at : found.start()]
        end = text.find("::", found.end())
        after = end + 2 if end >= 0 else len(text)
        if again := _NUMERIC.search(text, found.end(), after):
            end = after = again.start()  # another weight takes over
        if float(found[1]) > 0:
            yield text[found.end() : end if end >= 0 else len(text)]
        at = after
    yield text[at:]


def _without_comments(text: str) -> str:
    """Without /* comments */, which may span lines, and without lines that begin with # or //."""
    kept: list[str] = []
    position = 0
    while (start := text.find("/*", position)) >= 0 and (end := text.find("*/", start + 2)) >= 0:
        kept.append(text[position:start])
        position = end + 2
    lines = ("".join(kept) + text[position:]).splitlines(keepends=True)
    return "".join(line for line in lines if not line.lstrip().startswith(("#", "//")))
