"""The classifier `signals`: no false alarm on ordinary pictures, every kind of failure named, at several strengths."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from keepers.core.judging.alike import ALIKE, count_bits
from keepers.core.judging.near_duplicates import Stream, with_duplicate
from keepers.core.pictures.phash import hash_words, join_words
from keepers.core.prediction import Prediction
from keepers.examples import failures
from keepers.examples.pictures import ORDINARY, clouds, mountains, to_image
from keepers.models.signals.signals import LABELS, SPEC, Measure, flatten, measure, name_failure

EXAMPLES = Path(__file__).parents[3] / "examples" / "images"
SIZE = (512, 640)


@cache
def ordinary(name: str) -> Image.Image:
    return ORDINARY[name]()


def coded(image: Image.Image, kind: str, quality: int) -> Image.Image:
    file = io.BytesIO()
    image.convert("RGB").save(file, kind, quality=quality)
    return Image.open(file)


def label(image: Image.Image) -> str:
    return name_failure(measure(image))[0]


def value(image: Image.Image, name: str) -> float:
    return float(measure(image)[LABELS.index(name)])


def predict(image: Image.Image) -> Prediction:
    values = measure(image)
    return Prediction("signals", LABELS, values, name_failure(values)[0])


CHANGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "as it is": lambda image: image,
    "JPEG 90": lambda image: coded(image, "JPEG", 90),
    "JPEG 40": lambda image: coded(image, "JPEG", 40),
    "WebP 60": lambda image: coded(image, "WEBP", 60),
    "half the size": lambda image: image.reduce(2),
    "a quarter": lambda image: image.crop((0, image.height // 2, image.width // 2, image.height)),
    "dark": lambda image: image.convert("RGB").point([level // 3 for level in range(256)] * 3),
    "pale": lambda image: image.convert("RGB").point([150 + level * 2 // 5 for level in range(256)] * 3),
    "contrasty": lambda image: ImageOps.autocontrast(image.convert("RGB"), cutoff=3),
    "on its side": lambda image: image.transpose(Image.Transpose.ROTATE_90),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_pictures_raise_no_alarm(name: str, change: str) -> None:
    picture = CHANGES[change](ordinary(name))
    assert label(picture) == "ok", dict(zip(LABELS.names, measure(picture).tolist(), strict=True))


def failing() -> dict[str, tuple[str, Callable[[], Image.Image]]]:
    cases: dict[str, tuple[str, Callable[[], Image.Image]]] = {}
    for grain in (0, 1, 2):
        cases[f"black {grain}"] = ("black", lambda g=grain: failures.solid(SIZE, (0, 0, 0), g))
        cases[f"white {grain}"] = ("blank", lambda g=grain: failures.solid(SIZE, (255, 255, 255), g))
        cases[f"brown {grain}"] = ("solid", lambda g=grain: failures.solid(SIZE, (120, 90, 60), g))
    cases["mottled"] = ("solid", lambda: failures.mottled(SIZE, (90, 110, 130), 4))
    for deviation in (20, 60, 127):
        cases[f"noise {deviation}"] = ("noise", lambda d=deviation: failures.pixel_noise(SIZE, d))
        cases[f"grey noise {deviation}"] = ("noise", lambda d=deviation: failures.pixel_noise(SIZE, d, coloured=False))
        cases[f"latents {deviation}"] = ("noise", lambda d=deviation: failures.latent_noise(SIZE, max(d, 30)))
    for name in ("mountains", "spheres", "bokeh", "fog", "sea", "pixel_art"):
        for sigma in (25, 40):
            cases[f"{name} blurred {sigma}"] = ("blur", lambda n=name, s=sigma: failures.blurred(ordinary(n), s))
        for across, down in ((2, 1), (1, 2), (2, 2), (3, 2)):
            made = lambda n=name, a=across, d=down: failures.tiled(ordinary(n), a, d)  # noqa: E731
            cases[f"{name} tiled {across}x{down}"] = ("tiled", made)
    for name in ("sea", "spheres", "night", "cartoon", "film"):
        cases[f"{name} stuck"] = ("tiled", lambda n=name: failures.stuck(ordinary(n)))
    for name in ("mountains", "spheres"):
        for gain in (5, 8):
            cases[f"{name} burnt {gain}"] = ("clipped", lambda n=name, g=gain: failures.burnt(ordinary(n), g))
    return cases


FAILING = failing()


@pytest.mark.parametrize("case", FAILING)
def test_failures_are_named(case: str) -> None:
    expected, make = FAILING[case]
    assert label(make()) == expected


@pytest.mark.parametrize("kind", [("JPEG", 85), ("WEBP", 80)], ids=str)
@pytest.mark.parametrize(
    "case",
    [
        "black 1",
        "white 1",
        "brown 0",
        "noise 60",
        "latents 60",
        "spheres blurred 40",
        "sea tiled 2x2",
        "spheres burnt 8",
    ],
)
def test_failures_are_named_after_compression(case: str, kind: tuple[str, int]) -> None:
    expected, make = FAILING[case]
    assert label(coded(make(), *kind)) == expected


@pytest.mark.parametrize("cells", [2, 3, 8, 16])
def test_a_chessboard_is_a_pattern(cells: int) -> None:
    y, x = np.mgrid[:512, :512] * cells // 512
    board = to_image(255.0 * ((x + y) % 2))
    assert label(board) == "ok"
    assert label(coded(board, "JPEG", 80)) == "ok"


def test_measures_have_their_units() -> None:
    y, x = np.mgrid[:768, :768]
    disc = to_image(np.where(np.hypot(x - 384, y - 384) < 250, 220.0, 30.0))
    assert value(disc, "blur") == 0
    assert value(failures.blurred(disc, 20), "blur") == pytest.approx(20, rel=0.15)
    assert value(failures.pixel_noise((512, 512)), "noise") == pytest.approx(1, abs=0.02)
    assert value(Image.new("RGB", (300, 200), (7, 99, 201)), "brightest") == 201
    assert value(Image.new("RGB", (300, 200), (7, 99, 201)), "darkest") == 7
    assert value(Image.new("RGB", (300, 200)), "side") == 200


MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "HSV", "I;16")


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_of_a_picture_is_ok(mode: str) -> None:
    picture = ordinary("spheres")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        image = picture.convert("RGB").convert(mode) if mode != "LAB" else Image.merge("LAB", picture.split())
    before = image.tobytes()
    assert label(image) == "ok"
    assert image.tobytes() == before


def test_hidden_colours_do_not_count() -> None:
    motley = failures.pixel_noise((300, 300), 90)
    motley.putalpha(0)
    assert label(motley) == "solid"
    black_ink = Image.new("LA", (300, 300), (0, 0))
    black_ink.paste((0, 255), (100, 100, 200, 200))
    assert np.asarray(flatten(black_ink)).min() == 0
    assert label(black_ink) == "ok"


@given(st.integers(1, 70), st.integers(1, 70), st.sampled_from(MODES[:7]), st.integers(0, 9))
@settings(max_examples=60, deadline=None)
def test_any_small_image_has_finite_values(width: int, height: int, mode: str, seed: int) -> None:
    noise = np.random.RandomState(seed).randint(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    values = measure(image)
    assert np.isfinite(values).all()
    assert (values >= 0).all()
    assert (name_failure(values)[0] == "tiny") == (min(width, height) < 32)


@pytest.mark.parametrize("size", [(1, 1), (1, 10000), (10000, 1), (8, 8), (31, 4000)])
def test_what_is_too_small_to_judge_says_so(size: tuple[int, int]) -> None:
    values = measure(Image.new("RGB", size, (90, 180, 20)))
    assert np.isfinite(values).all()
    assert name_failure(values)[0] == "tiny"
    assert values[LABELS.index("ok")] == 0


def test_the_net_passes_the_view_on() -> None:
    import torch

    from keepers.core.spec import Build

    network = SPEC.build(
        Build(
            path=lambda file: Path(file.name),
            tensors=lambda file: {},
            metadata=lambda file: {},
            precision="exact",
            device=torch.device("cpu"),
            shared=lambda key, make: make(),
        )
    )
    view = network.views[0](ordinary("fog"))
    assert view.dtype == torch.float32
    assert Measure() == network.views[0]
    out = network.module(view[None]).numpy()
    assert np.array_equal(out[0], measure(ordinary("fog")))
    assert network.name(out[0]) == ("ok", np.inf)
    assert out[0][LABELS.index("ok")] == 1


def test_without_a_net_the_numbers_are_those_of_the_net() -> None:
    from keepers.core.judging.case import Subject
    from keepers.core.judging.classifier import Classifier
    from keepers.core.judging.judge import Judge
    from keepers.core.pictures.open import open_image
    from keepers.core.runtime import Runtime
    from keepers.core.weights.store import WeightStore
    from keepers.models.registry import REGISTRY

    images = [open_image(path) for path in sorted(EXAMPLES.iterdir()) if path.name != "truncated.png"]
    store, runtime = WeightStore([]), Runtime(device="cpu")
    by_net = Classifier.load(SPEC, store, runtime, "exact").classify(images)
    measured = Judge(REGISTRY, store, runtime).predict([Subject(lambda image=one: image) for one in images], "signals")
    for one, other in zip(measured, by_net, strict=True):
        assert isinstance(one, Prediction)
        assert one.values.tobytes() == other.values.tobytes()
        assert replace(one, values=other.values) == other


def test_hash_words_hold_all_bits_in_float32() -> None:
    words = hash_words(ordinary("sea").convert("L"))
    assert words.dtype == np.float32
    joined = int(join_words(words))
    assert [joined >> shift & 0xFFFF for shift in (48, 32, 16, 0)] == words.astype(int).tolist()
    with pytest.raises(ValueError, match="whole numbers"):
        join_words(np.array([0, 1, 2.5, 3], dtype=np.float32))


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=20))
def test_bits_are_counted(values: list[int]) -> None:
    counted = count_bits(np.array(values, dtype=np.uint64))
    assert counted.tolist() == [bin(value).count("1") for value in values]


def test_ordinary_pictures_are_not_duplicates_of_each_other() -> None:
    run = Stream()
    for name in ORDINARY:
        filled = with_duplicate(predict(ordinary(name)), run, name)  # "film" is the scene of "spheres", in grey
        assert filled.label == "ok", (name, filled.notes)


def test_variations_of_a_scene_are_not_duplicates() -> None:
    run = Stream()
    for seed in range(1, 25):
        filled = with_duplicate(predict(mountains((384, 256), seed)), run, str(seed))
        assert filled.label == "ok", filled.notes


@pytest.mark.parametrize("name", [name for name in ORDINARY if name not in ("stars", "gradient", "cloth", "bricks")])
def test_small_changes_leave_a_duplicate(name: str) -> None:
    picture = ordinary(name).convert("RGB")
    brighter = picture.point([min(255, level + 8) for level in range(256)] * 3)
    for changed in (coded(picture, "JPEG", 70), picture.reduce(2), brighter):
        run = Stream()
        with_duplicate(predict(picture), run, "first")
        again = with_duplicate(predict(changed), run, "second")
        assert again.label == "duplicate"
        assert again["duplicate"] >= ALIKE
        assert again["ok"] == 0
        assert "first" in again.notes[-1]


def test_a_run_fills_in_what_depends_on_it_and_nothing_else() -> None:
    run, prediction = Stream(), predict(ordinary("fog"))
    first = with_duplicate(prediction, run, "a")
    second = with_duplicate(prediction, run, "b")
    assert (first.label, first["duplicate"], second.label, second["duplicate"]) == ("ok", 0, "duplicate", 1)
    assert prediction["duplicate"] == 0
    assert prediction["ok"] == 1
    assert with_duplicate(prediction, run, "a").label == "ok"
    assert with_duplicate(prediction, run, "b").label == "duplicate"
    assert len(run) == 2


def test_failed_frames_are_no_duplicates() -> None:
    run, black = Stream(), predict(failures.solid(SIZE, (0, 0, 0)))
    assert with_duplicate(black, run, "a") is black
    assert with_duplicate(black, run, "b") is black
    assert len(run) == 0


EXPECTED = {
    "mountains.png": "ok",
    "mountains_again.jpg": "duplicate",
    "night_town.png": "ok",
    "glossy_balls.jpg": "ok",
    "fox.png": "ok",
    "ink_tree.png": "ok",
    "foggy_forest.webp": "ok",
    "leaf.webp": "ok",
    "sticker.png": "ok",
    "black_frame.png": "black",
    "never_denoised.jpg": "noise",
    "out_of_focus.jpg": "blur",
    "burnt.jpg": "clipped",
    "tiled.webp": "tiled",
    "tiny.png": "tiny",
}


def test_the_example_images_show_what_they_are_for() -> None:
    run, labels = Stream(), dict[str, str]()
    for path in sorted(EXAMPLES.iterdir()):
        if path.name != "truncated.png":
            with Image.open(path) as image:
                image.load()
                labels[path.name] = with_duplicate(predict(image), run, path.name).label
    assert labels == EXPECTED
    with Image.open(EXAMPLES / "truncated.png") as image, pytest.raises(OSError, match="truncated"):
        image.load()


def test_smooth_texture_without_colour_is_no_noise() -> None:
    gravel = to_image(255 * clouds((512, 512), 3, 0.9))
    assert label(gravel) == "ok"
