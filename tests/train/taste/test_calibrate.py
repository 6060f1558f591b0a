"""Thresholds for a wish and their uncertainty, temperature, and the command that tells of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from keepers.cli import exit_codes
from keepers.cli.taste.calibrate import TurnedScore
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.gates.tree import Value
from keepers.core.judging.classifier import model_fingerprint
from keepers.core.prediction import Prediction
from keepers.models.faramir import faramir
from keepers.models.faramir.labels import LABELS
from keepers.tests.train.taste.test_tune import Done, run, tune
from keepers.tests.train.taste.world import Rule, World, explicit_store, picky, published, world
from keepers.train.taste.calibrate import Threshold, temperature, threshold_for, threshold_for_rate


def labelled(count: int, seed: int = 0) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Scores that are true probabilities of keep."""
    random = np.random.default_rng(seed)
    scores = random.beta(0.7, 0.7, count)
    return random.random(count) < scores, scores


def test_a_wish_is_met_on_the_labels() -> None:
    keep, scores = labelled(600)
    for target in (0.6, 0.8, 0.9):
        found = threshold_for(keep, scores, "precision", target)
        said = scores >= found.value
        assert found.reached and keep[said].mean() >= target == pytest.approx(target)
        assert found.precision == pytest.approx(keep[said].mean())
        assert found.precision_interval.low < found.precision <= found.precision_interval.high
        assert found.interval.low <= found.value <= found.interval.high
    recall = threshold_for(keep, scores, "recall", 0.95)
    assert recall.reached and (scores >= recall.value)[keep].mean() >= 0.95
    assert threshold_for(keep, scores, "recall", 0.5).value > recall.value


def test_what_cannot_be_reached_is_said() -> None:
    keep = np.array([True, False] * 40)
    found = threshold_for(keep, np.full(80, 0.5), "precision", 0.9)
    assert not found.reached and found.precision == 0.5


def test_more_labels_make_a_threshold_surer() -> None:
    widths: list[float] = []
    for count in (80, 2000):
        low, high = threshold_for(*labelled(count), "recall", 0.9).interval
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


def test_the_interval_holds_the_true_threshold_mostly() -> None:
    keep, scores = labelled(200_000, seed=9)
    truth = threshold_for_exact(keep, scores, 0.9)
    inside = 0
    for seed in range(40):
        low, high = threshold_for(*labelled(300, seed), "recall", 0.9).interval
        inside += low <= truth <= high
    assert inside >= 33


def threshold_for_exact(keep: NDArray[np.bool_], scores: NDArray[np.float64], recall: float) -> float:
    return float(np.quantile(scores[keep], 1 - recall))


def test_a_keep_rate_counts_all_images() -> None:
    keep, scores = labelled(100)
    every = np.linspace(0, 1, 5001)
    found = threshold_for_rate(keep, scores, every, 0.2)
    assert found.value == pytest.approx(0.8, abs=1e-3)
    assert found.interval.low < 0.8 < found.interval.high
    assert found.recall == pytest.approx((scores >= found.value)[keep].mean())


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_is_found_again(true: float) -> None:
    keep, honest = labelled(20_000)
    honest = np.clip(honest, 1e-4, 1 - 1e-4)
    logits = np.log(honest / (1 - honest)) * true
    found = temperature(keep, 1 / (1 + np.exp(-logits)))
    assert found.value == pytest.approx(true, rel=0.08) and not found.bounded
    assert found.after.error < 0.015
    assert found.after.error <= found.before.error + 0.005
    assert found.calibrated(0.5) == pytest.approx(0.5)


def test_certain_scores_stay_finite() -> None:
    keep = np.array([True, False] * 20)
    for scores in (keep.astype(float), (~keep).astype(float)):
        found = temperature(keep, scores)
        assert np.isfinite(found.value) and found.bounded


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_line_for_the_gate_decides_as_the_threshold(sign: float) -> None:
    random = np.random.default_rng(1)
    scores = (0.5 + random.random(400) * 1e-3).astype(np.float32).astype(np.float64)
    keep = random.random(400) < 0.5
    question = TurnedScore(Value("m", "odd label"), sign, keep, scores)
    for value in np.linspace(0.5001, 0.5009, 7):
        threshold = Threshold(sign * float(value), (0, 0), 0, (0, 0), 0, (0, 0), True)  # pyright: ignore[reportArgumentType]
        line = question.gate(threshold)
        (clause,) = Gate.parse(line).links
        number = clause.right.single  # pyright: ignore[reportAttributeAccessIssue]
        assert np.array_equal(sign * scores >= sign * number, sign * scores >= sign * value)
    assert 'm["odd label"]' in question.gate(Threshold(sign, (0, 0), 0, (0, 0), 0, (0, 0), True))  # pyright: ignore[reportArgumentType]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> World:
    return world(tmp_path_factory.mktemp("world"), 160, published, wrong=0.05)


def calibrate(made: World, *arguments: object) -> Done:
    return run("calibrate", *arguments, "--db", made.db, "--models", made.weights)


def test_the_command_gives_a_gate(made: World, tmp_path: Path) -> None:
    done = calibrate(made, "faramir.accept", "--precision-of-keep", "0.9", "--report", tmp_path / "r.html")
    assert done.returncode == 0, done.stderr
    assert "precision of at least 90%" in done.stderr and "ROC area" in done.stderr and "temperature" in done.stderr
    line = re.search(r"gate: (accept: faramir\.accept >= [0-9.]+)", done.stderr)
    assert line
    Gate.parse(line[1])
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "Reliability" in page and "you said" in page


def test_labelled_images_that_could_not_be_judged_are_told(tmp_path: Path) -> None:
    made = world(tmp_path, 160, published)
    with Store(made.db) as store:
        [fingerprint] = store.fingerprints().values()
        hollow = Prediction("faramir", LABELS, np.full(len(LABELS), np.nan, np.float32), fingerprint=fingerprint)
        store.add(predictions=[(made.contents[0], hollow)])
    for done in (calibrate(made, "faramir.accept"), tune(made, "faramir", "--anyway")):
        assert done.returncode == exit_codes.UNJUDGED, done.stderr
        assert "1 more labelled images could not be judged and are left out" in done.stderr


def contrary(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Someone who keeps what the published decision rejects."""
    return ~published(values)


def test_the_command_knows_scores_of_which_less_is_better(tmp_path: Path) -> None:
    made = world(tmp_path, 160, contrary, wrong=0.05)
    done = calibrate(made, 'faramir["accept logit"]', "--recall", "0.8")
    assert done.returncode == 0, done.stderr
    assert 'accept: faramir["accept logit"] <= ' in done.stderr and "Lower means keep" in done.stderr
    assert "temperature" not in done.stderr, "a logit is no probability"


TABLE = r"you keep │ (\d+) │ (\d+) │ │ you reject │ (\d+) │ (\d+) .* gate: (accept: .*? [<>]= \S+)"


@pytest.mark.parametrize("wish", [[], ["--precision-of-keep", "0.9"], ["--recall", "0.8"]])
@pytest.mark.parametrize("rule", [published, contrary])
@pytest.mark.parametrize("score", ["faramir.accept", 'faramir["accept logit"]'])
def test_the_printed_gate_gives_the_printed_table(tmp_path: Path, rule: Rule, score: str, wish: list[str]) -> None:
    made = world(tmp_path, 160, rule, wrong=0.05)
    found = re.search(TABLE, calibrate(made, score, *wish).stderr)
    assert found
    said = [int(number) for number in found.groups()[:4]]
    predictions = stored(made)
    counted = [0, 0, 0, 0]
    for content, keep in zip(made.contents, made.keep, strict=True):
        verdict = Gate.parse(found[5]).decide({"faramir": predictions[content]}).verdict
        assert verdict
        counted[(0 if keep else 2) + (verdict.outcome != "accept")] += 1
    assert counted == said


def test_the_printed_gate_gives_the_printed_table_when_files_are_scanned(tmp_path: Path) -> None:
    """Real files through labels, calibrate and scan: what the console says is what the scan does."""
    random = np.random.RandomState(5)
    for kind, lowest in (("good", 60), ("bad", 20)):
        (tmp_path / kind).mkdir()
        for number in range(24):
            grain = random.normal(0, lowest + 3 * number, (96, 96, 1)) + random.normal(0, 4, (96, 96, 3))
            pixels = (128 + grain).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / kind / f"{number}.png")
    db = ("--db", tmp_path / "keepers.db")
    run("labels", "--keep", tmp_path / "good", "--reject", tmp_path / "bad", *db)
    done = run("calibrate", "signals.spread", *db)
    found = re.search(TABLE, done.stderr)
    assert found, done.stderr
    said = [int(number) for number in found.groups()[:4]]
    assert said != [24, 0, 0, 24], "the kinds overlap, so that a rounded threshold would show"
    out = tmp_path / "scanned.jsonl"
    run("scan", tmp_path / "good", tmp_path / "bad", "--gate", found[5], "--jsonl", out, "--no-db")
    counted = [0, 0, 0, 0]
    for line in out.read_text("utf-8").splitlines():
        one = json.loads(line)
        counted[(0 if "good" in Path(one["path"]).parts else 2) + (one["verdict"] != "accept")] += 1
    assert counted == said


def stored(made: World) -> dict[str, Prediction]:
    fingerprint = model_fingerprint(faramir.SPEC, explicit_store(made.weights))
    with Store(made.db) as store:
        found = store.predictions(made.contents, {"faramir": fingerprint})
    return {content: answers["faramir"] for content, answers in found.items()}


def test_a_score_that_tells_nothing_gets_no_gate(tmp_path: Path) -> None:
    made = world(tmp_path, 120, lambda values: np.random.RandomState(3).rand(len(values)) < 0.5)
    done = calibrate(made, "faramir.accept")
    assert done.returncode == 1
    assert "faramir.accept does not tell your keeps from your rejects" in done.stderr
    assert "gate:" not in done.stderr and "Lower means keep" not in done.stderr and "<=" not in done.stderr


def test_fast_numbers_do_not_make_thresholds(tmp_path: Path) -> None:
    """An image whose number has a tolerance is scored exactly first, or left out where its file is gone."""
    made = world(tmp_path, 160, published, wrong=0.05)
    with Store(made.db) as store, store.writing() as db:
        db.execute("UPDATE prediction SET tolerance = 1 WHERE content = ?", (made.contents[0],))
    done = calibrate(made, "faramir.accept")
    assert "1 labelled images are left out" in done.stderr, done.stderr
    keeps, rejects = (int(n) for n in re.findall(r"against (\d+) keeps and (\d+) rejects", done.stderr)[0])
    assert keeps + rejects == 159


def test_a_keep_rate_by_command(made: World) -> None:
    done = calibrate(made, "faramir.accept", "--keep-rate", "0.25")
    assert "accepts 25% of 160 images" in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["faramir.accpt"], "accept"),
        (["farami.accept"], "faramir"),
        (["faramir.label"], ""),
        (["faramir.accept > 0.5 and faramir.text"], "one number"),
        (["0.5"], ""),
        (["faramir.accept", "--recall", "0.5", "--keep-rate", "0.5"], "one thing"),
    ],
)
def test_what_is_wrong_is_said(made: World, arguments: list[str], told: str) -> None:
    done = calibrate(made, *arguments)
    assert done.returncode == 1 and told in done.stderr and "Traceback" not in done.stderr


def test_picky_labels_leave_the_published_threshold_behind(tmp_path: Path) -> None:
    done = calibrate(world(tmp_path, 200, picky), "faramir.accept")
    found = re.search(r"threshold ([0-9.]+)", done.stderr)
    assert found and float(found[1]) > 0.6
