"""A step of training against the original's own modules, and what training leaves alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from keepers.collection.statistics.metrics import confusion
from keepers.tests.rounding import rounding
from keepers.tests.train.taste.world import decision, inputs, picky, published
from keepers.train.taste import probe
from keepers.train.taste.decision import DECAYING, LAYERS, Decisions, Inputs, Masks, step
from keepers.train.taste.evidence import best_threshold, evidence, gain
from keepers.train.taste.folds import folds
from keepers.train.taste.logistic import sigmoid
from keepers.train.taste.tune import (
    Tuned,
    TuningRecipe,
    _Run,  # pyright: ignore[reportPrivateUsage]
    rise,
    tune_decision,
)

GOLDEN = dict(np.load(Path(__file__).parents[2] / "data" / "taste" / "step.npz"))
"""Made by parity/taste_step_original.py."""
STEPS = 6


def golden_inputs() -> tuple[Inputs, torch.Tensor]:
    raw, gate, free = np.split(GOLDEN["linear_2"], [30, 60], axis=1)
    return Inputs(*map(torch.from_numpy, (raw, gate, free))), torch.from_numpy(GOLDEN["keep"])


def golden_masks(number: int, count: int, copies: int = 1) -> Masks:
    drawn = np.random.RandomState(100 + number).rand(count, 40).astype(np.float32)
    keep = (drawn[:, 30:] >= 0.2).astype(np.float32) / np.float32(0.8)
    parts = (drawn[:, :30], keep[:, :2], keep[:, 2:])
    return Masks(*(torch.from_numpy(part).repeat(copies, 1, 1) for part in parts))


@pytest.mark.parametrize("copies", [1, 3])
def test_steps_equal_the_originals(copies: int) -> None:
    start = {name: torch.from_numpy(GOLDEN[f"start {name}"]) for name in LAYERS}
    found, keep = golden_inputs()
    decisions = Decisions(start, copies)
    optimizer = decisions.optimizer()
    for number in range(STEPS):
        loss = step(decisions, optimizer, found, keep, golden_masks(number, len(found), copies))
        bound = rounding(4, 32, size=3)  # two layers there and back, on 32 inputs
        assert loss.numpy() == pytest.approx(np.full(copies, GOLDEN[f"loss {number}"]), abs=bound)
        if f"step {number} head.linear_3.weight" in GOLDEN:
            for name in LAYERS:
                wanted = GOLDEN[f"step {number} {name}"]
                for index in range(copies):
                    assert np.abs(decisions.copy(index)[name].numpy() - wanted).max() < 1e-6, name
    assert (decisions["head.activation_2.gamma_p"] >= 0).all()


def test_the_golden_case_reaches_every_rule() -> None:
    start, end = (GOLDEN[f"{when} head.activation_2.gamma_p"] for when in ("start", "step 0"))
    assert (start < 0).any() and (end >= 0).all(), "gamma_p turns"
    masks = golden_masks(0, 24)
    assert (masks.classes < 0.1).any() and (masks.classes >= 0.9).any()
    assert (masks.free == 0).any() and (masks.hidden == 0).any()
    assert set(DECAYING) == {"head.linear_3.weight", "head.linear_4.weight"}


def test_copies_learn_from_their_own_images_alone() -> None:
    found, _ = inputs(40, 1)
    keep = torch.from_numpy(np.random.RandomState(0).rand(40) < 0.5).float()
    weights = torch.ones(2, 40)
    weights[1, 20:] = 0
    other = keep.clone()
    other[20:] = 1 - other[20:]
    results: list[dict[str, torch.Tensor]] = []
    for labels in (keep, other):
        decisions = Decisions(decision(), 2)
        optimizer = decisions.optimizer()
        generator = torch.Generator().manual_seed(0)
        for _ in range(3):
            step(decisions, optimizer, found, labels, Masks.draw(2, 40, generator), weights)
        results.append(decisions.copy(1))
    assert all(torch.equal(results[0][name], results[1][name]) for name in LAYERS)


def test_masks_leave_out_what_they_should() -> None:
    masks = Masks.draw(3, 4000, torch.Generator().manual_seed(1))
    for mask in (masks.free, masks.hidden):
        assert set(mask.unique().tolist()) == {0.0, 1.25}
        assert (mask == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)
    assert (masks.classes < 0.1).float().mean().item() == pytest.approx(0.1, abs=0.01)


def test_the_rate_begins_and_ends_with_the_authors() -> None:
    rates = [rise(done / 1000) for done in range(1000)]
    assert rates[0] == rates[100] == 1.0 and rates[-1] == pytest.approx(1.0, abs=0.05)
    assert max(rates) == pytest.approx(30.0)


def test_related_images_are_held_out_together() -> None:
    keep = np.random.RandomState(0).rand(300) < 0.3
    groups = [f"{index // 4}" if index < 100 else "" for index in range(300)]
    found = folds(keep, groups)
    for index in range(0, 100, 4):
        assert len(set(found[index : index + 4])) == 1
    shares = [keep[found == fold].mean() for fold in range(5)]
    assert max(shares) - min(shares) < 0.1
    assert max(np.bincount(found)) - min(np.bincount(found)) <= 6


def mcc(keep: NDArray[np.bool_], said: NDArray[np.bool_]) -> float:
    return confusion([str(one) for one in keep], [str(one) for one in said], ("True", "False")).mcc


def unseen(tuned: Tuned) -> float:
    found, values = inputs(1500, 2)
    with torch.no_grad():
        said = Decisions(tuned.tensors)(found)[0].numpy() > 0
    return mcc(picky(values), said)


def learned(wrong: float = 0.0, count: int = 200, chance: bool = False) -> tuple[Tuned, NDArray[np.bool_]]:
    found, values = inputs(count, 1)
    random = np.random.RandomState(5)
    keep = random.rand(count) < 0.5 if chance else picky(values) ^ (random.rand(count) < wrong)
    return tune_decision(decision(), found, keep), keep


def test_two_hundred_labels_show_a_hidden_rule() -> None:
    tuned, keep = learned()
    assert mcc(keep, tuned.before > 0.5) < 0.7
    assert mcc(keep, tuned.held_out > 0.5) > 0.9
    assert unseen(tuned) > 0.9
    assert gain(keep, tuned.before > 0.5, tuned.held_out > 0.5).low > 0.1
    assert tuned.losses[tuned.steps // 40] == tuned.losses.min()


def test_some_wrong_labels_do_little_harm() -> None:
    tuned, keep = learned(wrong=0.1)
    assert unseen(tuned) > 0.8
    assert gain(keep, tuned.before > 0.5, tuned.held_out > 0.5).low > 0


def test_random_labels_teach_nothing() -> None:
    tuned, keep = learned(chance=True)
    better = gain(keep, tuned.before > 0.5, tuned.held_out > 0.5)
    assert better.low <= 0
    assert abs(evidence(keep, tuned.held_out > 0.5).mcc.value) < 0.2


def test_few_labels_leave_what_was_right_alone() -> None:
    found, values = inputs(50, 1)
    keep = published(values)
    tuned = tune_decision(decision(), found, keep)
    many, truth = inputs(1500, 2)
    with torch.no_grad():
        before, after = (Decisions(layers)(many)[0].numpy() > 0 for layers in (decision(), tuned.tensors))
    assert mcc(published(truth), after) > mcc(published(truth), before) - 0.03


def test_the_same_labels_give_the_same_decision() -> None:
    found, values = inputs(60, 1)
    runs = [tune_decision(decision(), found, picky(values), recipe=TuningRecipe(steps=80)) for _ in range(2)]
    assert all(torch.equal(runs[0].tensors[name], runs[1].tensors[name]) for name in LAYERS)
    assert torch.get_num_threads() >= 1


def test_evidence_by_hand() -> None:
    keep = np.array([True] * 6 + [False] * 4)
    said = np.array([True] * 5 + [False] + [True] + [False] * 3)
    found = evidence(keep, said)
    assert found.precision.value == pytest.approx(5 / 6) and found.recall.value == pytest.approx(5 / 6)
    assert found.informedness.value == pytest.approx(5 / 6 - 1 / 4)
    assert found.mcc.value == pytest.approx((5 * 3 - 1 * 1) / np.sqrt(6 * 4 * 6 * 4))
    assert found.mcc.low < found.mcc.value < found.mcc.high
    same = gain(keep, said, said)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)
    assert gain(keep, ~said, said).value == pytest.approx(2 * found.mcc.value)
    threshold, best = best_threshold(keep, np.where(keep, 0.8, 0.3))
    assert 0.3 < threshold <= 0.8 and best == 1.0


def test_no_image_chooses_the_step_of_its_own_answer() -> None:
    """Fold 0 is far better at the second look, and would outvote fold 1, which is a little better at the first."""
    found, _ = inputs(4, 1)
    fold = torch.tensor([0, 0, 1, 1])
    run = _Run(decision(), found, torch.ones(4), fold, TuningRecipe(folds=2))
    first, second = torch.tensor([-5.0, -5.0, 2.0, 2.0]), torch.tensor([5.0, 5.0, 1.0, 1.0])
    run.looks = [first.repeat(3, 1), second.repeat(3, 1)]
    run.finals = [{"look": torch.zeros(1)}, {"look": torch.ones(1)}]
    tuned = run.result()
    assert tuned.held_out == pytest.approx(torch.tensor([-5.0, -5.0, 1.0, 1.0]).sigmoid().numpy())
    assert tuned.tensors["look"] == 1, "the final decision goes by all held-out images"


def test_no_image_chooses_the_penalty_of_its_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for the probe: two penalties, of which one suits fold 0 alone."""
    keep = np.array([True, True, False, False] * 10)
    fold = np.arange(40) // 8
    right = np.where(keep, 1.0, -1.0)
    paths = np.stack([np.where(fold == 0, -5.0, 2.0) * right, np.where(fold == 0, 5.0, 1.0) * right])
    monkeypatch.setattr(probe, "PENALTIES", (1.0, 2.0))
    monkeypatch.setattr(probe, "folds", lambda *_args, **_options: fold)
    monkeypatch.setattr(probe, "_path", lambda *_: paths)
    monkeypatch.setattr(probe, "_solutions", lambda inputs, _: [np.zeros(inputs.shape[1] + 1)] * 2)
    found = probe.fit_probe(np.random.RandomState(0).randn(40, 3), keep)
    assert found.held_out[fold == 0] == pytest.approx(sigmoid((-5.0 * right)[fold == 0]))
    assert found.held_out[fold == 1] == pytest.approx(sigmoid((1.0 * right)[fold == 1]))
