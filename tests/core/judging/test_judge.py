"""The judge asks the cheapest model first, asks no more than it must, and never accepts what it could not judge."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from weakref import ref

import numpy as np
import pytest
import torch
from PIL import Image

from keepers.core.errors import Cancelled, GateError, UnreadableImage
from keepers.core.gates.gate import Gate, Verdict
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.judging.near_duplicates import Run, Stream
from keepers.core.pictures.preprocess import Preprocess
from keepers.core.prediction import Failure, Prediction, argmax_label
from keepers.core.runtime import Runtime, move
from keepers.core.spec import Build, Derivation, Network
from keepers.models.registry import Registry
from keepers.tests import tiny
from keepers.tests.rounding import rounding
from keepers.tests.tiny import LABELS, Work, plain

BOTH = Gate.parse("accept: cheap.good >= 0.5 and dear.good >= 0.5")
WHITE, BLACK, RED, CYAN = plain(255, 255, 255), plain(0, 0, 0), plain(255, 0, 0), plain(0, 255, 255)


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def judge(work: Work, tmp_path: Path) -> Judge:
    return tiny.judge(work, tmp_path)


def subjects(*images: Image.Image) -> list[Subject]:
    return [Subject(lambda image=image: image) for image in images]


def outcomes(judge: Judge, gate: Gate, images: Sequence[Image.Image]) -> list[str]:
    return [judged.verdict.outcome for judged in judge.judge(subjects(*images), gate)]


def test_verdicts_come_in_order(judge: Judge) -> None:
    assert outcomes(judge, BOTH, [WHITE, BLACK, RED, CYAN, WHITE]) == ["accept", "reject", "reject", "reject", "accept"]


def test_the_dear_model_sees_only_what_it_can_decide(judge: Judge, work: Work) -> None:
    judge.judge(subjects(WHITE, BLACK, RED, CYAN), BOTH)
    assert work.images("cheap") == 4
    assert work.images("dear") == 2  # black and red fail the cheap one


def test_score_all_asks_everyone(judge: Judge, work: Work) -> None:
    judged = judge.judge(subjects(WHITE, BLACK, RED), BOTH, everything=True)
    assert work.images("dear") == 3
    assert [one.verdict.outcome for one in judged] == ["accept", "reject", "reject"]
    assert all(set(one.answers) == {"cheap", "dear"} for one in judged)


def test_images_go_in_batches(judge: Judge, work: Work) -> None:
    judge.judge(subjects(*[WHITE] * 10), Gate.parse("accept: cheap.good >= 0.5"))
    assert work.batches == [("cheap exact", 4), ("cheap exact", 4), ("cheap exact", 2)]


def test_known_predictions_are_not_made_again(judge: Judge, work: Work) -> None:
    known = {"cheap": Prediction("cheap", LABELS, np.array([0.9, 0.1], np.float32))}

    def never() -> Image.Image:
        raise AssertionError("the picture is not needed")

    judged = judge.judge([Subject(never, known)], Gate.parse("accept: cheap.good >= 0.5"))
    assert judged[0].verdict.outcome == "accept"
    assert judged[0].fresh == {}
    assert work.batches == []


def test_a_picture_is_opened_once_for_all_models(judge: Judge) -> None:
    opened: list[int] = []

    def once() -> Image.Image:
        opened.append(1)
        return WHITE

    judge.judge([Subject(once)], BOTH)
    assert len(opened) == 1


def test_what_cannot_be_opened_goes_to_review_with_its_reason(judge: Judge) -> None:
    def broken() -> Image.Image:
        raise UnreadableImage("a.png", "truncated", "its end is missing")

    judged = judge.judge([*subjects(WHITE), Subject(broken), *subjects(BLACK)], BOTH)
    assert [one.verdict.outcome for one in judged] == ["accept", "review", "reject"]
    assert judged[1].verdict.reason == "review: a.png: its end is missing"
    assert judged[1].error == "truncated"
    assert [(one.model, one.kind) for one in judged[1].verdict.unjudged] == [("", "unreadable")]
    assert judged[0].verdict.judged and judged[2].verdict.judged


def test_a_flawed_subject_is_reviewed_and_never_opened(judge: Judge) -> None:
    def never() -> Image.Image:
        raise AssertionError

    judged = judge.judge([Subject(never, flaw="NaN in its pixels")], BOTH)[0]
    assert (judged.verdict.outcome, judged.verdict.reason) == ("review", "review: NaN in its pixels")
    assert [(one.model, one.kind) for one in judged.verdict.unjudged] == [("", "not_a_number")]
    lost = judge.judge([Subject(never, flaw="the disk is gone", flaw_code="io")], BOTH)[0]
    assert lost.error == "io" and not lost.verdict.lasts


def test_a_missing_model_means_review(judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "dear.safetensors").unlink()
    judged = judge.judge(subjects(WHITE, BLACK), BOTH)
    assert [one.verdict.outcome for one in judged] == ["review", "reject"]  # the cheap model refuses black by itself
    answer = judged[0].answers["dear"]
    assert isinstance(answer, Failure)
    assert answer.code == "missing_weights"
    assert "dear.safetensors" in judged[0].verdict.reason
    assert [(one.model, one.kind) for one in judged[0].verdict.unjudged] == [("dear", "missing")]
    assert judged[1].verdict.judged


def test_a_model_that_gives_nan_means_review(judge: Judge, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.full((3,), float("nan"))}, tmp_path / "dear.safetensors")
    judged = judge.judge(subjects(WHITE), BOTH)[0]
    assert judged.verdict.outcome == "review"
    assert [(one.model, one.kind, one.label) for one in judged.verdict.unjudged] == [("dear", "not_a_number", "good")]
    not_it = judge.judge(subjects(WHITE), Gate.parse("accept: not dear.good < 0.5"))[0]
    assert not_it.verdict.outcome == "review"


def test_one_bad_image_does_not_take_its_batch_along(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    forward = tiny.TinyNet.forward

    def picky(self: tiny.TinyNet, views: torch.Tensor) -> torch.Tensor:
        if (views.mean((1, 2, 3)) == 0).any():
            raise RuntimeError("out of memory")
        return forward(self, views)

    monkeypatch.setattr(tiny.TinyNet, "forward", picky)
    judged = judge.judge(subjects(WHITE, BLACK, WHITE), Gate.parse("accept: cheap.good >= 0.5"))
    assert [one.verdict.outcome for one in judged] == ["accept", "review", "accept"]
    assert "out of memory" in judged[1].verdict.reason
    assert [(one.model, one.kind) for one in judged[1].verdict.unjudged] == [("cheap", "failure")]


def test_fast_never_changes_a_verdict(work: Work, tmp_path: Path) -> None:
    levels = [plain(n, n, n) for n in range(110, 146)]
    gate = Gate.parse("accept: cheap.good >= 0.5; review: cheap.good >= 0.47")
    exact = outcomes(tiny.judge(Work(), tmp_path), gate, levels)
    assert outcomes(tiny.judge(work, tmp_path, precision="fast"), gate, levels) == exact
    again = work.images("cheap exact")
    assert 0 < again < len(levels)  # only those near a threshold are computed twice


def test_a_cheap_model_is_asked_again_before_a_dear_one_is_asked_in_vain(work: Work, tmp_path: Path) -> None:
    just_below = plain(127, 127, 127)
    judged = tiny.judge(work, tmp_path, precision="fast").judge(subjects(just_below, WHITE), BOTH)
    assert [one.verdict.outcome for one in judged] == ["reject", "accept"]
    assert work.batches == [("cheap fast", 2), ("cheap exact", 1), ("dear fast", 1)]


def test_the_answer_after_a_second_look_is_exact(work: Work, tmp_path: Path) -> None:
    judge = tiny.judge(work, tmp_path, precision="fast")
    near, far = judge.judge(subjects(plain(128, 128, 128), WHITE), Gate.parse("accept: cheap.good >= 0.5"))
    assert [one.fresh["cheap"].tolerance for one in (near, far)] == [0, 1]


def test_the_host_can_stop_it(work: Work, tmp_path: Path) -> None:
    calls: list[int] = []

    def stop_at_the_second() -> None:
        calls.append(1)
        if len(calls) == 2:
            raise Cancelled("stopped")

    runtime = Runtime(device="cpu", precision="exact", check=stop_at_the_second)
    judge = tiny.judge(work, tmp_path, runtime=runtime)
    with pytest.raises(Cancelled):
        judge.judge(subjects(*[WHITE] * 12), Gate.parse("accept: cheap.good >= 0.5"))
    assert work.images("cheap") == 4


def test_the_host_places_the_net_before_every_batch(work: Work, tmp_path: Path) -> None:
    placed: list[int] = []

    def place(parts: Sequence[torch.nn.Module], device: torch.device) -> torch.device:
        placed.append(len(parts))
        return move(parts, device)

    runtime = Runtime(device="cpu", precision="exact", place=place)
    tiny.judge(work, tmp_path, runtime=runtime).judge(subjects(*[WHITE] * 5), Gate.parse("accept: cheap.good >= 0.5"))
    assert placed == [1, 1]


def test_a_batch_does_not_change_a_value(judge: Judge) -> None:
    images = [plain(10 * n, 5 * n, 255 - 9 * n) for n in range(11)]
    together = judge.predict(subjects(*images), "cheap")
    for image, answer in zip(images, together, strict=True):
        alone = judge.predict(subjects(image), "cheap")[0]
        assert isinstance(alone, Prediction)
        assert isinstance(answer, Prediction)
        np.testing.assert_allclose(alone.values, answer.values, rtol=0, atol=rounding(2, 64))  # the mean of 64 pixels


def test_a_gate_with_unknown_names_is_refused(judge: Judge) -> None:
    with pytest.raises(GateError, match="cheap"):
        judge.check(Gate.parse("accept: chaep.good > 0.5"))
    with pytest.raises(GateError, match="good"):
        judge.check(Gate.parse("accept: cheap.goood > 0.5"))
    judge.check(BOTH)


def test_release_forgets_failures(judge: Judge, tmp_path: Path) -> None:
    content = (tmp_path / "dear.safetensors").read_bytes()
    (tmp_path / "dear.safetensors").unlink()
    assert judge.judge(subjects(WHITE), BOTH)[0].verdict.outcome == "review"
    (tmp_path / "dear.safetensors").write_bytes(content)
    assert judge.judge(subjects(WHITE), BOTH)[0].verdict.outcome == "review"
    judge.release()
    assert judge.judge(subjects(WHITE), BOTH)[0].verdict.outcome == "accept"


def test_modules_are_shared_while_one_model_lives(judge: Judge) -> None:
    made: list[torch.nn.Module] = []

    def make() -> torch.nn.Module:
        made.append(torch.nn.Identity())
        return made[-1]

    first = judge._share("encoder", make)  # pyright: ignore[reportPrivateUsage]
    assert judge._share("encoder", make) is first  # pyright: ignore[reportPrivateUsage]
    assert len(made) == 1


def test_a_judge_that_nobody_holds_lets_its_nets_go_at_once(work: Work, tmp_path: Path) -> None:
    """Hosts count on it: their memory is not the collector's to give back."""
    gc.collect()
    gc.disable()
    try:
        held = tiny.judge(work, tmp_path, precision="fast")
        held.judge([Subject(lambda: plain(200, 200, 200))], Gate.parse("accept: cheap.good >= 0.5"))
        net = ref(held.classifier("cheap").network.module)
        assert net() is not None
        del held
        assert net() is None
    finally:
        gc.enable()


def test_subjects_are_values() -> None:
    subject = subjects(WHITE)[0]
    assert replace(subject, flaw="x").flaw == "x"
    assert subject.flaw == ""


def test_retry_forgets_what_was_missing_and_keeps_what_was_loaded(judge: Judge, tmp_path: Path) -> None:
    content = (tmp_path / "dear.safetensors").read_bytes()
    (tmp_path / "dear.safetensors").unlink()
    assert judge.judge(subjects(WHITE), BOTH)[0].verdict.outcome == "review"
    cheap = judge.classifier("cheap")
    (tmp_path / "dear.safetensors").write_bytes(content)
    judge.retry()
    assert judge.judge(subjects(WHITE), BOTH)[0].verdict.outcome == "accept"
    assert judge.classifier("cheap") is cheap


def with_spec(judge: Judge, model: str, **changes: Any) -> Judge:
    """The judge, with a change to the description of one of its models."""
    specs = [judge.registry.spec(each, judge.store) for each in ("cheap", "dear")]
    changed = [replace(spec, **changes) if spec.id == model else spec for spec in specs]
    return Judge(Registry(*changed), judge.store, judge.runtime, batch=judge.batch)


def test_a_model_may_ask_for_smaller_batches(judge: Judge, work: Work) -> None:
    build = judge.registry.spec("cheap", judge.store).build
    small = with_spec(judge, "cheap", build=lambda given: replace(build(given), batch=2))
    small.judge(subjects(*[WHITE] * 5), Gate.parse("accept: cheap.good >= 0.5"))
    assert [count for _, count in work.batches] == [2, 2, 1]


def test_an_empty_run_is_the_callers_all_the_same(judge: Judge) -> None:
    """A run without images is false, but what it is given to remember must still reach the caller."""
    seen: list[Run] = []

    def compare(answer: Prediction, run: Run, name: str) -> Prediction:
        seen.append(run)
        return answer

    run = Stream()
    assert not len(run)
    with_spec(judge, "cheap", compare=compare).judge(subjects(WHITE), Gate.parse("accept: cheap.good > 0"), run=run)
    assert seen and all(one is run for one in seen)


def test_a_settled_subject_is_asked_nothing(judge: Judge, work: Work) -> None:
    def never() -> Image.Image:
        raise AssertionError("a settled image is not opened")

    settled = Verdict("accept", "accept: as before")
    judged = judge.judge([Subject(never, settled=settled)], BOTH, everything=True)
    assert judged[0].verdict is settled and work.batches == []


def test_a_view_that_breaks_sends_only_its_image_to_review(judge: Judge, monkeypatch: pytest.MonkeyPatch) -> None:
    real = Preprocess.__call__

    def picky(self: Preprocess, image: Image.Image) -> torch.Tensor:
        if image.getpixel((0, 0)) == (255, 0, 0):
            raise ValueError("an odd mode")
        return real(self, image)

    monkeypatch.setattr(Preprocess, "__call__", picky)
    judged = judge.judge(subjects(WHITE, RED, BLACK), Gate.parse("accept: cheap.good >= 0.5"))
    assert [one.verdict.outcome for one in judged] == ["accept", "review", "reject"]
    assert "ValueError: an odd mode" in judged[1].verdict.reason


def test_what_derives_from_coarse_numbers_is_coarse(judge: Judge) -> None:
    """Asked for an exact answer, it takes exact numbers or none."""

    def twice(_: object) -> Derivation:
        return Derivation(LABELS, lambda values: values * np.float32(0.5), partial(argmax_label, LABELS))

    derived = with_spec(judge, "dear", base="cheap", derive=twice)
    coarse = Prediction("cheap", LABELS, np.array([0.8, 0.2], np.float32), tolerance=0.1)
    assert derived.derive("dear", {"cheap": coarse}, exact=True) is None
    found = derived.derive("dear", {"cheap": coarse})
    assert found is not None and found["good"] == pytest.approx(0.4) and found.tolerance > 0
    sure = derived.derive("dear", {"cheap": replace(coarse, tolerance=0.0)}, exact=True)
    assert sure is not None and sure.tolerance == 0
    assert derived.derive("dear", {"cheap": Failure("cheap", "code", "why")}) is None
    assert derived.derive("cheap", {"cheap": coarse}) is None


def test_a_loaded_net_does_not_train(judge: Judge) -> None:
    """In training mode, dropout would draw, and batch norm would learn from the pictures."""
    build = judge.registry.spec("cheap", judge.store).build

    def training(given: Build) -> Network:
        network = build(given)
        network.module.train()
        return network

    net = with_spec(judge, "cheap", build=training).classifier("cheap").network.module
    assert not any(module.training for module in net.modules())


def test_progress_reaches_the_end(work: Work, tmp_path: Path) -> None:
    told: list[tuple[int, int, str]] = []
    runtime = Runtime(device="cpu", precision="exact", progress=lambda *step: told.append(step))
    tiny.judge(work, tmp_path, runtime=runtime).judge(subjects(*[WHITE] * 6), BOTH)
    assert told == [(4, 6, "cheap"), (6, 6, "cheap"), (4, 6, "dear"), (6, 6, "dear")]
