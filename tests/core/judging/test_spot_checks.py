"""Fast numbers change no verdict: not while they stay within what is stated, and not unnoticed when they leave it."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.gates.gate import Gate
from keepers.core.judging import spot_checks
from keepers.core.judging.case import Judged, Subject
from keepers.core.judging.judge import Judge
from keepers.core.judging.spot_checks import ONE_IN, SpotChecks, chosen
from keepers.core.prediction import Labels, Prediction
from keepers.tests import tiny
from keepers.tests.drifting import judge
from keepers.tests.tiny import plain

GATE = Gate.parse("accept: cheap.good >= 0.5")


def subjects(levels: Sequence[int], name: str = "{}") -> list[Subject]:
    return [Subject(partial(plain, level, level, 255 - level), name=name.format(level)) for level in levels]


def outcomes(judged: Sequence[Judged]) -> list[str]:
    return [one.verdict.outcome for one in judged]


terms = st.builds(
    "{} {} {}".format,
    st.sampled_from(["cheap.good", "cheap.bad", "dear.good", "dear.bad"]),
    st.sampled_from(["<", "<=", ">", ">="]),
    st.sampled_from([round(0.32 + 0.02 * n, 2) for n in range(20)]),
) | st.sampled_from(
    ['cheap.label == "good"', 'dear.label != "bad"', "cheap.good > dear.good", "cheap.bad >= dear.good"]
)
conditions = st.recursive(
    terms, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["and", "or"]), inner)
)
gates = st.lists(
    st.builds(
        "{}: {}{}".format, st.sampled_from(["accept", "review", "reject"]), st.sampled_from(["", "not "]), conditions
    ),
    min_size=1,
    max_size=3,
).map("\n".join)


@pytest.fixture(scope="module")
def judges(tmp_path_factory: pytest.TempPathFactory) -> tuple[Judge, Judge]:
    folder = tmp_path_factory.mktemp("weights")
    return judge(folder, "fast", 0.999), judge(folder, "exact")  # all but its last bits: the sum is rounded


@given(gates, st.lists(st.integers(60, 200), min_size=1, max_size=8, unique=True))
@settings(max_examples=60, deadline=None)
def test_no_verdict_differs_while_numbers_stay_within_their_tolerance(
    judges: tuple[Judge, Judge], gate: str, levels: list[int]
) -> None:
    fast, exact = judges
    parsed = Gate.parse(gate)
    assert outcomes(fast.judge(subjects(levels), parsed)) == outcomes(exact.judge(subjects(levels), parsed))
    assert fast.checks.tolerances == {}


@pytest.fixture
def all_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spot_checks, "ONE_IN", 1)
    assert chosen(b"any")


def test_a_check_that_finds_nothing_says_nothing(tmp_path: Path, all_checked: None) -> None:
    told: list[str] = []
    fast = judge(tmp_path, "fast", 0.9, told)
    judged = fast.judge(subjects([10, 240]), GATE)
    assert [one.answers["cheap"].tolerance for one in judged if isinstance(one.answers["cheap"], Prediction)] == [0, 0]
    assert (told, fast.checks.tolerances, fast.checks.compared) == ([], {}, 2)


def test_the_same_images_are_checked_every_time() -> None:
    contents = [f"{n:064x}".encode() for n in range(20_000)]
    found = [content for content in contents if chosen(content)]
    assert found == [content for content in contents if chosen(content)]
    assert 0.8 < len(found) / len(contents) * ONE_IN < 1.2


def test_a_number_that_strays_is_told_and_what_it_touches_is_judged_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far = plain(250, 250, 5)
    monkeypatch.setattr("keepers.core.judging.case.chosen", lambda pixels: pixels == far.tobytes())
    levels = list(range(100, 160))
    exact = outcomes(judge(tmp_path, "exact").judge(subjects(levels), Gate.parse("accept: dear.good >= 0.5")))
    told: list[str] = []
    fast = judge(tmp_path, "fast", 3.0, told)
    gate = Gate.parse("accept: dear.good >= 0.5")
    wrong = fast.judge(
        subjects(levels[20:40]), Gate.parse("accept: dear.good >= 0.9")
    )  # nothing is near, nothing checked
    assert told == [] and all(one.answers["dear"].tolerance == 1 for one in wrong)  # pyright: ignore[reportAttributeAccessIssue]
    judged = fast.judge([*subjects(levels), Subject(lambda: far, name="far.png")], gate)
    assert outcomes(judged)[:-1] == exact
    assert len(told) == 1 and "dear.good was" in told[0] and "0.02 is allowed" in told[0], told
    assert fast.checks.tolerances["dear"] == pytest.approx(6.0, rel=1e-4)
    kept = [one.fresh["dear"].tolerance for one in judged]
    assert set(kept) == {0, fast.checks.tolerances["dear"]}, "what is stored is trusted less, too"
    known = wrong[0].answers["dear"]
    assert isinstance(known, Prediction)
    later = fast.judge([replace(subjects([120])[0], known={"dear": known})], gate)
    assert outcomes(later) == [exact[20]], "known numbers are trusted no more than new ones"


def test_a_check_that_fails_leaves_the_answer(
    tmp_path: Path, all_checked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = tiny.TinyNet.forward

    def narrow(self: tiny.TinyNet, views: torch.Tensor) -> torch.Tensor:
        if "exact" in self.name:
            raise RuntimeError("out of memory")
        return forward(self, views)

    monkeypatch.setattr(tiny.TinyNet, "forward", narrow)
    judged = judge(tmp_path, "fast", 0.5).judge(subjects([240]), GATE)
    assert outcomes(judged) == ["accept"]


def test_a_prediction_near_a_threshold_is_made_again(tmp_path: Path) -> None:
    fast, exact = judge(tmp_path, "fast", 0.9), judge(tmp_path, "exact")

    def near(answer: Prediction) -> bool:
        return abs(answer["good"] - 0.5) <= answer.drift("good")

    levels = list(range(100, 160))
    pairs = zip(fast.predict(subjects(levels), "dear", near), exact.predict(subjects(levels), "dear"), strict=True)
    again = 0
    for ours, theirs in pairs:
        assert isinstance(ours, Prediction) and isinstance(theirs, Prediction)
        assert (ours["good"] >= 0.5) == (theirs["good"] >= 0.5)
        again += ours.tolerance == 0
    assert 0 < again < len(levels)
    assert all(a.tolerance == 0 for a in fast.predict_exactly(subjects([250]), "dear"))  # pyright: ignore[reportAttributeAccessIssue]


def test_labels_without_bounds_are_not_compared() -> None:
    from keepers.core.prediction import LOGIT, PROBABILITY

    checks = SpotChecks()
    labels = Labels(("p", "z"), ("p", "z"), (PROBABILITY, LOGIT), (("p", 0.02),))
    fast = Prediction("m", labels, np.array([0.5, 3.0], np.float32), tolerance=1)
    checks.compare("", fast, replace(fast, values=np.array([0.51, 9.0], np.float32), tolerance=0))
    checks.compare("", fast, replace(fast, values=np.array([np.nan, 9.0], np.float32), tolerance=0))
    assert (checks.untold, checks.tolerances, checks.compared) == ([], {}, 2)


def test_a_judge_is_freed_without_the_collector(tmp_path: Path) -> None:
    """Hosts let go of it to free the memory of its nets."""
    kept = judge(tmp_path, "fast", 0.5)
    kept.judge(subjects([240]), GATE)
    gone = weakref.ref(kept)
    del kept
    assert gone() is None
