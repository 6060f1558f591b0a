"""Training: related images stay together, interruption changes nothing, and what is learnt is what is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from keepers.core.errors import Cancelled, KeepersError
from keepers.core.heatmaps.heatmap import heatmaps
from keepers.core.judging.classifier import Classifier
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.realism.format import Shape
from keepers.models.realism.view import Window
from keepers.models.registry import REGISTRY
from keepers.tests.textures import SPOT, picture, write_set
from keepers.train.realism.batches import augmented, plain
from keepers.train.realism.collect import Collected, Sample, collect
from keepers.train.realism.loop import Progress, Training, TrainingData
from keepers.train.realism.probe import fit_realism_probe
from keepers.train.realism.recipe import MODERN, PRESETS, STUDY, TrainingRecipe
from keepers.train.realism.run import (
    PreparedTraining,
    TrainedDetector,
    TrainingJob,
    TrainingWatcher,
    describe_detector,
    prepare,
    train_detector,
    write_detector,
)
from keepers.train.realism.split import related, split
from keepers.train.realism.warnings import warnings

TINY = replace(
    PRESETS["small"],
    shape=Shape("resnet", blocks=(1, 1, 1), width=8),
    window=Window(96),
    recipe=replace(MODERN, rate=5e-3, epochs=6, batch=16),
)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def trained(
    folder: Path, job: TrainingJob, watcher: TrainingWatcher | None = None
) -> tuple[PreparedTraining, TrainedDetector]:
    prepared = prepare(job, folder / "work", watcher or TrainingWatcher())
    return prepared, train_detector(
        prepared, folder / "work", WeightStore([folder / "models"]), watcher or TrainingWatcher()
    )


@pytest.fixture(scope="module")
def textured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("textures")
    write_set(folder / "set", 60, side=136)
    return folder / "set"


def folders(root: Path) -> dict[str, list[Path]]:
    return {"plain": [root / "plain"], "textured": [root / "textured"]}


def test_a_hidden_texture_is_learnt_and_found(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("hidden", folders(textured), replace(TINY, recipe=replace(TINY.recipe, epochs=12)))
    prepared, outcome = trained(tmp_path, job)
    described = describe_detector(prepared, outcome)
    write_detector(tmp_path / "models", "hidden", described, outcome)
    store = WeightStore([tmp_path / "models"])
    asked = Classifier.load(REGISTRY.spec("realism:hidden", store), store, Runtime(device="cpu"), "exact")
    right = hits = 0
    for seed in range(500, 520):
        for textured_one in (True, False):
            image, _ = picture(seed, textured=textured_one, side=136)
            right += asked.classify([image])[0].label == ("textured" if textured_one else "plain")
        image, (x, y) = picture(seed, textured=True, side=136)
        found = heatmaps(asked, [image], "textured")[0]
        hits += max(abs(found.peak[0] - x), abs(found.peak[1] - y)) <= SPOT // 2 + 8
    assert right >= 38, f"{right} of 40 right"
    assert hits >= 18, f"{hits} of 20 peaks on the texture"
    assert described.metrics["confusion"]["classes"] == ["plain", "textured"]
    assert described.training["by_class"] == {"plain": 60, "textured": 60}


def test_random_labels_stay_at_chance(tmp_path: Path) -> None:
    sources = write_set(tmp_path / "set", 60, side=136, random_labels=True)
    preset = replace(TINY, recipe=replace(TINY.recipe, epochs=4))
    prepared, outcome = trained(tmp_path, TrainingJob("chance", sources, preset))
    everything = np.concatenate([prepared.split.train, prepared.split.validation, prepared.split.test])
    assert len(everything) == len(set(everything.tolist())) == 120
    low, high = outcome.tested.confusion().interval(0.999)
    assert low < 0.5 < high


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


def sample(name: str, label: int, content: str, bits: int) -> Sample:
    return Sample(Path(name), label, content, bits, 100, 100, "PNG")


def far_hashes(count: int) -> list[int]:
    return [int(bits) for bits in np.random.RandomState(3).randint(0, 2**63, count, dtype=np.uint64)]


def test_related_images_share_a_part() -> None:
    hashes = far_hashes(300)
    samples = [sample(f"real/r-{n:05d}.jpg", 0, f"a{n:063d}", hashes[n]) for n in range(100)]
    samples += [sample(f"ai/x_{n:05d}_.png", 1, f"b{n:063d}", hashes[100 + n]) for n in range(100)]
    samples += [
        sample(f"ai/near{chr(97 + n % 26)}{n}n.png", 1, f"c{n:063d}", hashes[100 + n] ^ 0b101) for n in range(100)
    ]
    groups = related(samples)
    assert (groups[:100] == groups[100:200]).all() and (groups[100:200] == groups[200:]).all()
    assert len(set(groups.tolist())) == 100
    parts = split(Collected(("real", "ai"), tuple(samples)))
    owner = {}
    for name, places in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        for place in places:
            assert owner.setdefault(int(groups[place]), name) == name
    assert len(parts.test) == pytest.approx(30, abs=4) and len(parts.validation) == pytest.approx(30, abs=4)
    assert parts.across == 100


def test_parts_hang_on_contents_not_on_names_or_order() -> None:
    hashes = far_hashes(80)
    samples = [sample(f"a/{chr(97 + n % 26)}{n}q.png", n % 2, f"{n * 7919 % 1000:064d}", hashes[n]) for n in range(80)]
    moved = [replace(one, path=Path(f"b/{one.content[-4:]}zz.png")) for one in reversed(samples)]
    first, second = (split(Collected(("x", "y"), tuple(listed))) for listed in (samples, moved))
    for name in ("train", "validation", "test"):
        contents = [samples[place].content for place in getattr(first, name)]
        assert contents == [moved[place].content for place in getattr(second, name)]
    other = split(Collected(("x", "y"), tuple(samples)), seed=1)
    assert set(other.test.tolist()) != set(first.test.tolist())


def test_smaller_portions_are_parts_of_larger_ones_with_the_same_test() -> None:
    hashes = far_hashes(200)
    samples = tuple(sample(f"{chr(97 + n % 26)}{n}q.png", int(n >= 150), f"{n:064d}", hashes[n]) for n in range(200))
    collected = Collected(("x", "y"), samples)
    whole = split(collected)
    before: set[int] = set()
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        part = whole.portion(collected, share)
        now = set(part.train.tolist())
        assert before <= now and not now & set(part.test.tolist())
        assert len(part.train) + len(part.validation) == pytest.approx(share * 200, abs=1)
        assert np.array_equal(part.test, whole.test)
        minor = sum(samples[place].label for place in part.train) / len(part.train)
        assert minor == pytest.approx(0.25, abs=0.03)
        before = now


def save(path: Path, seed: int, size: tuple[int, int] = (40, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.RandomState(seed).randint(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def test_bad_files_are_told_and_left_out(tmp_path: Path) -> None:
    for n in range(6):
        save(tmp_path / "a" / f"{n}.png", n)
        save(tmp_path / "b" / f"{n}.png", 100 + n)
    broken = (tmp_path / "a" / "3.png").read_bytes()
    (tmp_path / "a" / "3.png").write_bytes(broken[: len(broken) // 2])
    (tmp_path / "b" / "empty.png").write_bytes(b"")
    save(tmp_path / "b" / "again.png", 100)
    found = collect({"a": [tmp_path / "a"], "b": [tmp_path / "b"]})
    assert {path.name for path, _ in found.unread} == {"3.png", "empty.png"}
    assert found.counts() == (5, 6) and found.repeated == 1


@pytest.mark.parametrize(("count", "told"), [(0, "has no image files"), (1, "only 1 image files")])
def test_a_class_with_too_few_images_is_refused(count: int, told: str, tmp_path: Path) -> None:
    for n in range(5):
        save(tmp_path / "a" / f"{n}.png", n)
    (tmp_path / "b").mkdir()
    for n in range(count):
        save(tmp_path / "b" / f"{n}.png", 50 + n)
    with pytest.raises(KeepersError, match=told):
        collect({"a": [tmp_path / "a"], "b": [tmp_path / "b"]})


def test_classes_that_share_images_are_refused_unless_forced(tmp_path: Path) -> None:
    for n in range(6):
        save(tmp_path / "a" / f"{n}.png", n)
        save(tmp_path / "b" / f"x{n}.png", 100 + n)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "2.png").read_bytes())
    named = {"a": [tmp_path / "a"], "b": [tmp_path / "b"]}
    with pytest.raises(KeepersError, match=r"share images: 2 files.*--force"):
        collect(named)
    found = collect(named, force=True)
    assert found.counts() == (5, 6) and len(found.shared) == 1
    assert {"copy.png", "2.png"}.isdisjoint(one.path.name for one in found.samples)


def test_nothing_but_near_duplicates_leaves_nothing_to_test_on() -> None:
    samples = [sample(f"a{n}q.png", 0, f"{n:064d}", 5) for n in range(10)]
    samples += [sample(f"b{n}q.png", 1, f"{n + 50:064d}", bits) for n, bits in enumerate(far_hashes(10))]
    with pytest.raises(KeepersError, match="'same' has too few unrelated images"):
        split(Collected(("same", "other"), tuple(samples)))


def test_giveaways_are_told() -> None:
    hashes = far_hashes(400)
    samples = [
        Sample(Path(f"{chr(97 + n % 26)}{n}q"), int(n >= 150), f"{n:064d}", hashes[n], *size, form)
        for n in range(400)
        for size, form in [((640, 480), "JPEG") if n < 150 else ((1024, 1024), "PNG")]
    ]
    collected = Collected(("real", "ai"), tuple(samples))
    told = " ".join(warnings(collected, split(collected), 700))
    assert "file formats alone tell the class of 100%" in told and "real: mostly JPEG; ai: mostly PNG" in told
    assert "picture sizes alone" in told and "640x480" in told
    assert "unequal (real 150, ai 250)" in told
    assert "smaller than 700 pixels" in told and "real 150, ai 0" in told
    alike = [replace(one, width=512, height=512, format="PNG") for one in samples[:100] + samples[150:250]]
    quiet = Collected(("real", "ai"), tuple(alike))
    assert warnings(quiet, split(quiet), 224) == []


def test_unequal_classes_are_weighted() -> None:
    found = data()
    labels = found.labels.copy()
    labels[found.train] = [0] * 24 + [1] * 8
    weights = replace(found, labels=labels).weights()
    assert weights.tolist() == pytest.approx([32 / 48, 32 / 16])
    assert (weights[0] * 24 + weights[1] * 8) / 32 == pytest.approx(1)


def test_what_was_read_is_read_again_only_when_files_change(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("again", folders(textured), TINY)
    reads: list[int] = []
    watcher = TrainingWatcher(reading=lambda done, _total: reads.append(done))
    first = prepare(job, tmp_path, watcher)
    assert len(reads) == 120
    second = prepare(job, tmp_path, watcher)
    assert len(reads) == 120 and second.pictures.collected == first.pictures.collected
    assert np.array_equal(second.pictures.pixels, first.pictures.pixels)
    prepare(replace(job, preset=replace(TINY, window=Window(80))), tmp_path, watcher)
    assert len(reads) == 240


def test_a_probe_finds_what_is_linear_and_nothing_else() -> None:
    random = np.random.RandomState(0)
    features = random.randn(1200, 20).astype(np.float32)
    labels = (features[:, 3] + 0.5 * features[:, 7] > 0).astype(np.int64)
    train, validation, test = np.split(np.arange(1200), [800, 1000])
    probed = fit_realism_probe(features, labels, train, validation, 2)
    found = probed.probabilities(features)[test]
    assert (found.argmax(1) == labels[test]).mean() >= 0.95
    assert np.allclose(found.sum(1), 1, atol=1e-6)
    shuffled = random.randint(0, 2, 1200)
    chance = (
        fit_realism_probe(features, shuffled, train, validation, 2).probabilities(features)[test].argmax(1)
        == shuffled[test]
    )
    assert 0.38 < chance.mean() < 0.62
    assert torch.equal(fit_realism_probe(features, labels, train, validation, 2).weight, probed.weight)


def test_metrics_are_json_and_say_everything(textured: Path, tmp_path: Path) -> None:
    job = TrainingJob("json", folders(textured), replace(TINY, recipe=replace(TINY.recipe, epochs=1)))
    prepared, outcome = trained(tmp_path, job)
    told = json.loads(json.dumps(describe_detector(prepared, outcome).metrics, allow_nan=False))
    assert set(told["classes"]) == {"plain", "textured"}
    for numbers in told["classes"].values():
        assert {"precision", "recall", "f1", "roc_area", "calibration_error", "brier"} <= set(numbers)
    assert sum(map(sum, told["confusion"]["rows_true_columns_answered"])) == told["images"]
