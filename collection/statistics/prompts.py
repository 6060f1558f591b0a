"""What sets the prompts of one group of images apart from those of another.

Counts are compared by the difference of their means, with a bootstrap under the hypothesis that both groups come from
the same prompts; the realism study's own bootstrap, of one group against all prompts, is given beside it. Words are
compared by log-odds with an informative prior (Monroe, Colaresi, Quinn: "Fightin' Words", 2008), which favours neither
rare nor common words. Multiple comparisons are corrected for (Holm for counts, Benjamini and Hochberg for words).
"""

from __future__ import annotations

import math
import re
from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

from ...core.captions.prompt_tags import prompt_tags
from ...core.metadata.prompt_text import clean_prompt
from .metrics import RESAMPLES, resampled_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORD = re.compile(r"\b(?=\d*[^\W\d_])\w[\w'’-]*")
"""A word contains a letter, as 1girl does."""
LORA = re.compile(r"<(?:lora|lyco|lycoris):([^:<>]+)[^<>]*>", re.IGNORECASE)
WEIGHT = re.compile(r":\s*[+-]?(?:\d+\.?\d*|\.\d+)\s*\)")
PRIOR = 20.0
"""How many prompts the prior is worth: a group counts as like all prompts until this many say otherwise."""

Nouns = Callable[[str], list[str]]
"""The nouns of a text, in order."""


@dataclass(frozen=True)
class NumberComparison:
    """One count, such as the number of words, in two groups of prompts."""

    name: str
    means: tuple[float, float]
    variances: tuple[float, float]
    """As the study computed them, over N."""
    p: float
    """How often two groups of these sizes, drawn from all prompts, differ by as much."""
    study: float
    """The study's p: how often as many prompts as the first group has, drawn from all, are as far from the mean of all.
    It finds nothing where the first group holds most of the prompts."""
    corrected: float = float("nan")
    """`p`, corrected for all counts (Holm 1979)."""


@dataclass(frozen=True)
class WordComparison:
    """One word in two groups of prompts."""

    word: str
    counts: tuple[int, int]
    """Prompts that contain it, counted once each."""
    score: float
    """The z-score of its log-odds: above 0 for words of the first group."""
    p: float
    corrected: float = float("nan")
    """Corrected for all words (Benjamini and Hochberg 1995): the share of false discoveries up to here."""


def words(prompt: str) -> list[str]:
    """The words of a prompt in lower case, without weights, LoRA calls and other commands."""
    return [word.lower() for word in WORD.findall(clean_prompt(prompt))]


@dataclass
class PromptGroup:
    """The numbers and words of one group's prompts that are compared. The prompts themselves are not kept."""

    nouns: Nouns | None = None
    size: int = 0
    having: dict[str, Counter[str]] = field(default_factory=dict[str, Counter[str]])
    """By kind (words, LoRAs, and nouns if there is a tagger), how many prompts contain each word."""
    _numbers: dict[str, array[int]] = field(default_factory=dict[str, "array[int]"])

    def add(self, prompt: str) -> None:
        """Add one prompt."""
        self.size += 1
        kinds = {"words": words(prompt), "LoRAs": loras(prompt)}
        if self.nouns:
            kinds["nouns"] = self.nouns(clean_prompt(prompt))
        for kind, found in kinds.items():
            self.having.setdefault(kind, Counter()).update(set(found))
        numbers = {
            "words": len(kinds["words"]),
            "tags": len(prompt_tags(prompt)),
            "characters": len(clean_prompt(prompt)),
            "weights": len(WEIGHT.findall(LORA.sub("", prompt))),
            **{kind: len(found) for kind, found in kinds.items() if kind != "words"},
        }
        for name, number in numbers.items():
            self._numbers.setdefault(name, array("q")).append(number)

    @property
    def numbers(self) -> dict[str, NDArray[np.float64]]:
        """By name, one number for each prompt."""
        return {name: np.array(found, dtype=np.float64) for name, found in self._numbers.items()}


def compare_numbers(
    first: PromptGroup, second: PromptGroup, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[NumberComparison]:
    """Every number of both groups. Both must have prompts."""
    mine, others = first.numbers, second.numbers
    found = [
        NumberComparison(
            name,
            (float(values.mean()), float(others[name].mean())),
            (float(values.var()), float(others[name].var())),
            difference_p(values, others[name], resamples, seed),
            bootstrap_p(np.concatenate([values, others[name]]), values, resamples, seed),
        )
        for name, values in mine.items()
    ]
    corrected = holm([one.p for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, corrected, strict=True)]


def difference_p(
    first: NDArray[np.float64], second: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """How often two groups of these sizes, drawn from all values, have means as far apart (Efron and Tibshirani 1993).

    The observed difference counts as one more draw (Davison and Hinkley 1997), so that p is never 0.
    """
    everything = np.concatenate([first, second])
    drawn = [resampled_means(everything, len(one), resamples, seed * 2 + n) for n, one in enumerate((first, second))]
    observed = abs(first.mean() - second.mean())
    # Sums of equal numbers differ in their last bits with the order of addition.
    extreme = np.count_nonzero(np.abs(drawn[0] - drawn[1]) >= observed * (1 - 1e-9))
    return float((extreme + 1) / (resamples + 1))


def bootstrap_p(
    everything: NDArray[np.float64], group: NDArray[np.float64], resamples: int = RESAMPLES, seed: int = 0
) -> float:
    """The study's p: how often as many values drawn from all differ from their mean by as much as the group does."""
    middle = everything.mean()
    difference = abs(middle - group.mean())
    means = resampled_means(everything, len(group), resamples, seed)
    return float(np.count_nonzero(np.abs(means - middle) >= difference * (1 - 1e-9)) / resamples)


def compare_having(having: tuple[Counter[str], Counter[str]], sizes: tuple[int, int]) -> list[WordComparison]:
    """Every word of the prompts of both groups, the most distinctive first.

    `having` says how many prompts of each group contain a word, `sizes` how many prompts there are: a prompt that says
    "cat" ten times is still one prompt.
    """
    mine, others = having
    if not min(sizes):
        return []
    normal = NormalDist()
    found: list[WordComparison] = []
    for word in mine + others:
        score = _score((mine[word], others[word]), sizes)
        found.append(WordComparison(word, (mine[word], others[word]), score, 2 * normal.cdf(-abs(score))))
    found.sort(key=lambda one: (-abs(one.score), one.word))
    corrected = benjamini_hochberg([one.p for one in found])
    return [replace(one, corrected=p) for one, p in zip(found, corrected, strict=True)]


def _score(counts: tuple[int, int], sizes: tuple[int, int]) -> float:
    """The difference of the word's log-odds over its standard deviation; the prior pulls both groups to the whole."""
    share = (sum(counts) + 1) / (sum(sizes) + 2)
    odds = spread = 0.0
    for count, size, sign in zip(counts, sizes, (1, -1), strict=True):
        having, lacking = count + PRIOR * share, size - count + PRIOR * (1 - share)
        odds += sign * math.log(having / lacking)
        spread += 1 / having + 1 / lacking
    return odds / math.sqrt(spread)


def loras(prompt: str) -> list[str]:
    """The names of the LoRAs that a prompt calls."""
    return [name.strip() for name in LORA.findall(prompt)]


def holm(values: Sequence[float]) -> list[float]:
    """p-values corrected so that each bounds the chance of any false discovery among them all."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found = [0.0] * len(values)
    highest = 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, values[place] * (len(values) - rank)))
        found[place] = highest
    return found


def benjamini_hochberg(values: Sequence[float]) -> list[float]:
    """The share of false discoveries among all comparisons with p at least as small."""
    order = sorted(range(len(values)), key=lambda place: values[place])
    found = [0.0] * len(values)
    lowest = 1.0
    for rank in range(len(values) - 1, -1, -1):
        place = order[rank]
        lowest = min(lowest, values[place] * len(values) / (rank + 1))
        found[place] = lowest
    return found
