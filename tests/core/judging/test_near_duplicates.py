"""Runs: of a set, the better picture is kept; of a stream, the first. All of a group know each other."""

from __future__ import annotations

import math

import numpy as np
import pytest

from keepers.core.judging.better import KeepDuplicate, Merits
from keepers.core.judging.near_duplicates import NAMED, Stream, Twin, settle, with_duplicate, with_known_twin
from keepers.core.pictures.phash import FINGERPRINT_WORDS
from keepers.core.prediction import NO_TWINS, Labels, Prediction, Twins, twins_of

LABELS = Labels(
    ("ok", "duplicate", *(f"hash{place}" for place in range(FINGERPRINT_WORDS))),
    ("signal", "signal", *("hash",) * FINGERPRINT_WORDS),
)


def words(*bits: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint16]]:
    found = np.zeros((len(bits), FINGERPRINT_WORDS), dtype=np.uint16)
    found[:, 0] = bits
    return found


def said(bits: int, label: str = "ok") -> Prediction:
    return Prediction("signals", LABELS, np.array([1, 0, *words(bits)[0]], dtype=np.float32), label)


def merits(*pixels: int) -> Merits:
    same = np.zeros(len(pixels), dtype=np.int64)
    return Merits(np.array(pixels), same.astype(np.int16), same.astype(np.bool_), same)


def test_the_larger_is_kept_and_all_know_each_other() -> None:
    names = ["small.png", "other.png", "large.png", "middle.png"]
    run = settle(names, words(0b1, 0xFFFF, 0b0, 0b11), merits(10, 20, 99, 50))
    assert run.found == {
        "large.png": Twin(0, Twins("", ("middle.png", "small.png"), 2)),
        "middle.png": Twin(2, Twins("large.png", ("large.png", "small.png"), 2)),
        "small.png": Twin(1, Twins("large.png", ("large.png", "middle.png"), 2)),
    }


def test_what_a_prediction_says_of_its_twins() -> None:
    run = settle(["a", "b", "c"], words(0, 0b111, 0xFFFF), merits(2, 1, 1))
    kept, dropped, alone = (
        with_duplicate(said(*each), run, name) for name, each in zip("abc", [(0,), (7,), (0xFFFF,)], strict=True)
    )
    assert (kept.label, kept["duplicate"], kept["ok"], kept.twins) == ("ok", 0, 1, Twins("", ("b",), 1))
    assert (dropped.label, dropped["duplicate"], dropped["ok"]) == ("duplicate", 1 - 3 / 64, 0)
    assert dropped.twins == Twins("a", ("a",), 1) and dropped.notes == ("3 of 64 bits differ from a",)
    assert alone.twins is NO_TWINS and alone.label == "ok"
    assert twins_of({"x": alone, "signals": dropped}).kept == "a" and twins_of({}) is NO_TWINS
    black = said(0, "black")
    assert with_duplicate(black, run, "b") is black and with_known_twin(black, Twin(0, Twins("a", ("a",), 1))) is black


def test_a_large_group_names_few_others_and_counts_all() -> None:
    names = [f"{number:03}" for number in range(50)]
    found = settle(names, words(*[0] * 50), merits(*range(50, 0, -1))).found
    assert found["000"].twins.others == tuple(names[1:])
    last, early = found["049"].twins, found["003"].twins
    assert last == Twins("000", tuple(names[:NAMED]), 49)
    assert early.others == tuple(name for name in names[: NAMED + 1] if name != "003")


@pytest.mark.parametrize(("keep", "kept"), [("largest", "a"), ("best", "c"), ("first", "a")])
def test_the_best_by_a_number(keep: KeepDuplicate, kept: str) -> None:
    asked: list[int] = []

    def numbers(places: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        asked.extend(places)  # pyright: ignore[reportArgumentType]
        return np.array([{0: 0.2, 1: math.nan, 2: 0.9}[place] for place in asked])

    run = settle(["a", "b", "c", "alone"], words(0, 1, 2, 0xFFFF), merits(9, 8, 7, 6), keep, numbers)
    assert {name for name, twin in run.found.items() if not twin.twins.kept} == {kept}
    assert "alone" not in run.found
    assert asked == ([0, 1, 2] if keep == "best" else [])


def test_in_a_group_what_does_not_resemble_the_best_is_kept_too() -> None:
    """b resembles a and a resembles c, but b and c differ in more than 6 bits."""
    run = settle(
        ["a", "b", "c"],
        words(0, 0b1111, 0b11110000),
        merits(9, 8, 7),
        "best",
        lambda places: np.array([[0.1, 0.5, 0.9][place] for place in places]),
    )
    kept = {name: twin.twins.kept for name, twin in run.found.items()}
    assert kept == {"c": "", "a": "c"}, "b is kept, and stands alone"


def test_in_a_stream_the_first_stays() -> None:
    run = Stream()
    first, second, third = (with_duplicate(said(bits), run, name) for name, bits in (("a", 0), ("b", 1), ("c", 2)))
    assert (first.label, second.label, third.label) == ("ok", "duplicate", "duplicate")
    assert third.twins.kept == second.twins.kept == "a"
    assert with_duplicate(said(1), run, "b").twins == second.twins
    assert len(run) == 3
