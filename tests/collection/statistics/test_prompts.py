"""Prompts compared: what is counted, what is found, and what is not claimed."""

from __future__ import annotations

import sys
import types
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from keepers.collection.statistics import nouns as nouns_module
from keepers.collection.statistics.nouns import find_tagger
from keepers.collection.statistics.prompts import (
    Nouns,
    PromptGroup,
    WordComparison,
    benjamini_hochberg,
    bootstrap_p,
    compare_having,
    compare_numbers,
    difference_p,
    holm,
    loras,
    words,
)


def group(prompts: Iterable[str], nouns: Nouns | None = None) -> PromptGroup:
    found = PromptGroup(nouns)
    for prompt in prompts:
        found.add(prompt)
    return found


def compare_words(*groups: Iterable[Sequence[str]]) -> list[WordComparison]:
    """Two groups of prompts, each prompt a list of words."""
    first, second = (PromptGroup() for _ in groups)
    for one, prompts in zip((first, second), groups, strict=True):
        for prompt in prompts:
            one.add(" ".join(prompt))
    none = Counter[str]()
    having = first.having.get("words", none), second.having.get("words", none)
    return compare_having(having, (first.size, second.size))


def test_what_is_counted() -> None:
    assert words("1girl, 4k 2024 don't 8") == ["1girl", "4k", "don't"]
    prompt = "a (red:1.3) cat, sitting on [grass], <lora:film_grain:0.7> <lyco:b:1>, (dog), masterpiece"
    found = {name: values[0] for name, values in group([prompt]).numbers.items()}
    assert words(prompt) == ["a", "red", "cat", "sitting", "on", "grass", "dog", "masterpiece"]
    assert found["words"] == 8 and found["weights"] == 1 and found["LoRAs"] == 2 and found["tags"] == 4
    assert loras(prompt) == ["film_grain", "b"]
    assert "nouns" not in found
    assert group([prompt], lambda text: ["cat", "dog"]).numbers["nouns"][0] == 2
    empty = {name: values[0] for name, values in group([""]).numbers.items()}
    assert set(empty.values()) == {0}


def study_bootstrap(total: np.ndarray, subsection: np.ndarray) -> float:
    """The published procedure, as its text describes it, one draw at a time."""
    mean = np.mean(total)
    difference = abs(mean - np.mean(subsection))
    hits = 0
    for _ in range(10_000):
        drawn = np.random.choice(total, len(subsection), replace=True)
        hits += abs(np.mean(drawn) - mean) >= difference
    return hits / 10_000


def test_the_study_s_bootstrap_gives_its_p() -> None:
    random = np.random.RandomState(0)
    total = random.poisson(19, 288).astype(float)
    for size, shift in ((11, 0.0), (11, 1.5), (40, 1.0)):
        group = np.clip(total[:size] - shift, 0, None)
        assert bootstrap_p(total, group) == pytest.approx(study_bootstrap(total, group), abs=0.02)
    assert bootstrap_p(total, total[:9]) == bootstrap_p(total, total[:9])


def test_p_values_are_as_often_small_as_they_say() -> None:
    random = np.random.RandomState(1)
    small = 0
    for trial in range(150):
        first, second = random.poisson(20, 60).astype(float), random.poisson(20, 25).astype(float)
        small += difference_p(first, second, resamples=400, seed=trial) < 0.1
    assert 5 <= small <= 27
    assert difference_p(np.full(40, 5.0), np.full(40, 6.0) + np.arange(40.0) % 2, resamples=2000) < 0.01


def test_a_planted_difference_is_found_whichever_group_is_larger() -> None:
    random = np.random.RandomState(2)
    sentence = ["tree", "river", "castle", "cloud", "stone", "field", "house", "garden", "road", "bridge"]

    def prompt(length: int, extra: str = "") -> str:
        return ", ".join([*random.choice(sentence, length), *([extra] if extra else [])])

    few = [prompt(3, "fog") for _ in range(20)]
    many = [prompt(7) for _ in range(150)]
    for first, second in ((few, many), (many, few)):
        compared = {one.name: one for one in compare_numbers(group(first), group(second), resamples=2000)}
        assert compared["words"].corrected < 0.05
        assert compared["LoRAs"].p == 1.0 and compared["weights"].p == 1.0
        found = compare_words(map(words, first), map(words, second))
        assert found[0].word == "fog" and found[0].corrected < 0.05
        assert (found[0].score > 0) == (first is few)


def test_chance_alone_finds_no_word() -> None:
    random = np.random.RandomState(3)
    vocabulary = [f"word{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(300)]
    claimed = 0
    for _ in range(20):
        groups = [[list(random.choice(vocabulary, 12)) for _ in range(size)] for size in (30, 120)]
        claimed += any(one.corrected < 0.05 for one in compare_words(*groups))
    assert claimed <= 3


def test_words_of_all_prompts_of_none_or_one_are_no_trouble() -> None:
    always = compare_words([["cat"]] * 9, [["cat"]] * 30)
    assert len(always) == 1 and always[0].corrected > 0.5 and always[0].counts == (9, 30)
    assert compare_words([], [["cat"]]) == [] and compare_words([["cat"]], []) == []
    assert compare_words([[]], [[]]) == []


def test_a_word_counts_once_a_prompt() -> None:
    (found,) = compare_words([["cat"] * 50], [["cat"]])
    assert found.counts == (1, 1) and found.score == pytest.approx(0)


def test_corrections_against_worked_examples() -> None:
    values = [0.01, 0.04, 0.03, 0.005]
    assert holm(values) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert benjamini_hochberg(values) == pytest.approx([0.02, 0.04, 0.04, 0.02])
    # 0.02 * 4 / 2 would be 0.04, but a larger p, 0.021 * 4 / 3, bounds it: the running minimum.
    assert benjamini_hochberg([0.02, 0.001, 0.021, 0.5]) == pytest.approx([0.028, 0.004, 0.028, 0.5])
    assert benjamini_hochberg([0.5, 0.6, 0.6]) == pytest.approx([0.6, 0.6, 0.6])
    assert holm([]) == [] and benjamini_hochberg([]) == []
    assert holm([0.9, 0.8]) == [1.0, 1.0]


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    find = nouns_module.importlib.util.find_spec
    monkeypatch.setattr(nouns_module.importlib.util, "find_spec", lambda name: None if name in names else find(name))


def test_without_a_tagger_nouns_are_left_out_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "nltk", "textblob")
    tagger, told = find_tagger()
    assert tagger is None and "left out" in told and "keepers[prompts]" in told


def test_without_the_tagger_s_data_the_next_one_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    nltk = types.ModuleType("nltk")

    def missing(_text: object) -> list[str]:
        raise LookupError("Resource punkt not found")

    nltk.word_tokenize = missing  # pyright: ignore[reportAttributeAccessIssue]  a stand-in for the package
    nltk.pos_tag = lambda tokens: [(t, "NN" if t == "test" else "DT") for t in tokens]  # pyright: ignore[reportAttributeAccessIssue]
    nltk.__spec__ = types.SimpleNamespace()  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "nltk", nltk)
    monkeypatch.setattr(nouns_module.importlib.util, "find_spec", lambda name: object() if name == "nltk" else None)
    assert find_tagger()[0] is None
    nltk.word_tokenize = str.split  # pyright: ignore[reportAttributeAccessIssue]
    tagger, told = find_tagger()
    assert tagger is not None and tagger("a Test test") == ["test"] and "as in the study" in told
