"""The training loop: interruption changes nothing, and the best epoch is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from keepers.core.errors import Cancelled, KeepersError
from keepers.models.realism.view import Window
from keepers.train.realism.batches import augmented, plain
from keepers.train.realism.loop import Progress, Training, TrainingData
from keepers.train.realism.recipe import MODERN, STUDY, TrainingRecipe


class Stop:
    """Interrupts after so many steps, cleanly between two of them, or in the midst of one."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, _progress: Progress) -> None:
        self.after -= 1
        if not self.after:
            raise Cancelled("stop")


def data(classes: int = 2) -> TrainingData:
    random = np.random.RandomState(0)
    pixels = random.randint(0, 256, (48, 1, 64, 64), dtype=np.uint8)
    labels = np.arange(48) % classes
    places = np.arange(48)
    return TrainingData(pixels, labels, 16, Window(32), places[:32], places[32:], classes)


def small_training(recipe: TrainingRecipe, checkpoint: Path | None = None, stop: Stop | None = None) -> Training:
    from keepers.models.realism.net import ResNetDetector

    torch.manual_seed(1)
    # Not narrower: the weight gradient of a strided 1x1 convolution over fewer than eight channels writes past its end
    # in oneDNN on AVX2 (torch 2.14.1), which damages the heap of the whole process.
    net = ResNetDetector(2, blocks=(1, 1), width=8)
    tell = stop or (lambda _progress: None)
    return Training(net, data(), recipe, seed=5, checkpoint=checkpoint, tell=tell, every=0.0)


RECIPES = {
    "modern": replace(MODERN, epochs=4, batch=10, augment="colour"),
    "study": replace(STUDY, epochs=4, batch=10),
}


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("after", [1, 3, 4, 6, 11, 16])
def test_an_interrupted_training_ends_with_the_same_weights(recipe: str, after: int, tmp_path: Path) -> None:
    whole = small_training(RECIPES[recipe])
    course = whole.run()
    stopped = small_training(RECIPES[recipe], tmp_path / "c.safetensors", Stop(after))
    with pytest.raises(Cancelled):
        stopped.run()
    resumed = small_training(RECIPES[recipe], tmp_path / "c.safetensors")
    again = resumed.run()
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, resumed.net.state_dict()[name]), name
    assert [epoch.loss for epoch in course.history] == [epoch.loss for epoch in again.history]
    assert course.best == again.best


def test_an_interruption_in_the_midst_of_a_step_is_not_gone_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES["modern"]
    whole = small_training(recipe)
    whole.run()
    stopped = small_training(recipe, tmp_path / "c.safetensors")
    step, calls = stopped.optimiser.step, []

    def broken() -> None:
        step()
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr(stopped.optimiser, "step", broken)
    with pytest.raises(KeyboardInterrupt):
        stopped.run()
    resumed = small_training(recipe, tmp_path / "c.safetensors")
    resumed.run()
    for name, tensor in whole.net.state_dict().items():
        assert torch.equal(tensor, resumed.net.state_dict()[name]), name


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    stopped = small_training(RECIPES["modern"], path, Stop(5))
    with pytest.raises(Cancelled):
        stopped.run()
    other = small_training(replace(RECIPES["modern"], rate=1e-3), path)
    other._resume()
    assert other.state.epoch == other.state.step == 0
    path.write_bytes(path.read_bytes()[:-1000])
    damaged = small_training(RECIPES["modern"], path)
    damaged._resume()
    assert damaged.state.epoch == damaged.state.step == 0


def test_the_best_epoch_is_kept() -> None:
    training = small_training(replace(RECIPES["study"], rate=0.5))
    course = training.run()
    losses = [epoch.validation_loss for epoch in course.history]
    assert course.best == int(np.argmin(losses))
    assert training._validate()[0] == pytest.approx(losses[course.best])


def test_the_study_s_stop_rule() -> None:
    falling = [1 - 0.1 * n for n in range(7)]
    assert not STUDY.is_over([*falling, 0.3999], [0.0] * 8) or abs(0.3999 - falling[-1]) < 0.005
    assert STUDY.is_over([*falling, 0.396], [0.0] * 8)
    assert not STUDY.is_over([0.5] * 7, [0.0] * 7)
    assert STUDY.is_over([float(n) for n in range(15)], [0.0] * 15)
    assert not STUDY.is_over([float(n) for n in range(14)], [0.0] * 14)


def test_a_loss_that_is_no_number_stops_with_advice() -> None:
    with pytest.raises(KeepersError, match="lower --rate"):
        small_training(replace(RECIPES["study"], rate=1e30)).run()


def test_augmentation_hangs_on_its_seed_alone_and_never_scales() -> None:
    found = data()
    places = np.array([3, 1, 2])
    one, same, other = (
        augmented(found.pixels, places, 16, Window(32), "light", seed) for seed in ((1, 2, 3), (1, 2, 3), (1, 2, 4))
    )
    assert torch.equal(one, same) and not torch.equal(one, other)
    grey = (one[:, 0] * 0.229 + 0.485) * 255
    for row, place in enumerate(places):
        windows = np.lib.stride_tricks.sliding_window_view(found.pixels[place, 0], (32, 32)).reshape(-1, 32, 32)
        cut = grey[row].round().numpy().astype(np.uint8)
        assert (windows == cut).all((1, 2)).any() or (windows == cut[:, ::-1]).all((1, 2)).any()
    still = augmented(found.pixels, places, 16, Window(32), "none", (1, 2, 3))
    assert torch.equal(still, plain(found.pixels, places, 16, Window(32)))


def test_unequal_classes_are_weighted() -> None:
    found = data()
    labels = found.labels.copy()
    labels[found.train] = [0] * 24 + [1] * 8
    weights = replace(found, labels=labels).weights()
    assert weights.tolist() == pytest.approx([32 / 48, 32 / 16])
    assert (weights[0] * 24 + weights[1] * 8) / 32 == pytest.approx(1)
