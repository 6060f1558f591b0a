"""Nouns in English text, if a part-of-speech tagger is installed: nothing is ever downloaded."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

NOUNS = frozenset({"NN", "NNS", "NNP", "NNPS"})
HOW = 'pip install "keepers[prompts]"'

Nouns = Callable[[str], list[str]]


def find_tagger() -> tuple[Nouns | None, str]:
    """A function that returns the nouns of a text, and a sentence that names the tagger or says why there is none.

    It is NLTK's perceptron tagger, which the realism study used, if it and its data are on this machine; else
    TextBlob's, whose data comes with the package.
    """
    for load in (_nltk, _textblob):
        found = load()
        if found is not None:
            return found
    return None, f"Nouns are left out: no part-of-speech tagger is installed ({HOW})."


def _nltk() -> tuple[Nouns, str] | None:
    if importlib.util.find_spec("nltk") is None:
        return None
    nltk: Any = importlib.import_module("nltk")

    def nouns(text: str) -> list[str]:
        return [word.lower() for word, tag in nltk.pos_tag(nltk.word_tokenize(text)) if tag in NOUNS]

    try:
        nouns("a test")
    except (LookupError, OSError):  # its data is not here
        return None
    return nouns, "Nouns by NLTK's perceptron tagger, as in the study."


def _textblob() -> tuple[Nouns, str] | None:
    if importlib.util.find_spec("textblob") is None:
        return None
    tagger: Any = importlib.import_module("textblob.en.taggers").PatternTagger()

    def nouns(text: str) -> list[str]:
        return [word.lower() for word, tag in tagger.tag(text) if tag in NOUNS]

    try:
        nouns("a test")
    except (LookupError, OSError):
        return None
    return nouns, "Nouns by TextBlob's tagger; the study used NLTK's, whose data is not on this machine."
