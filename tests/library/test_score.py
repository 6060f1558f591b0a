"""Pictures in, verdicts and numbers out: one or many, from paths, bytes and memory, with clear errors."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepers.core.errors import GateError, MissingWeights, UnknownName, UnreadableImage
from keepers.core.gates.gate import Gate
from keepers.core.weights.store import FOLDERS
from keepers.library import score as library
from keepers.library.score import ScoredImage, score
from keepers.models.presets import preset
from keepers.tests import tiny
from keepers.tests.textures import picture
from keepers.tests.tiny import Work, plain

IMAGES = Path(__file__).parents[2] / "examples" / "images"
FOX = IMAGES / "fox.png"


def soft(seed: int) -> Image.Image:
    """A picture that `signals` calls ok, and that resembles none of another seed."""
    return picture(seed, textured=False)[0]


@pytest.fixture(autouse=True)
def own_judge() -> Iterator[None]:
    """No judge outlives a test."""
    library._judge_over.cache_clear()
    yield
    library._judge_over.cache_clear()


def test_a_path_in_any_form_its_bytes_and_an_open_image_give_the_same() -> None:
    with Image.open(FOX) as image:
        found = [score(each) for each in (FOX, str(FOX), FOX.read_bytes(), image)]
    assert [one.name for one in found] == [str(FOX), str(FOX), "image 1", "image 1"]
    assert {(one.outcome, one.reason) for one in found} == {("accept", "accept: signals is ok")}
    values = [one.predictions["signals"].values for one in found]
    assert all(np.array_equal(each, values[0]) for each in values)
    assert found[0].accepted
    assert found[0].predictions["signals"]["side"] == 512


def test_the_result_is_frozen_and_crosses_to_other_processes() -> None:
    found = score(FOX)
    with pytest.raises(FrozenInstanceError):
        found.outcome = "reject"  # pyright: ignore[reportAttributeAccessIssue]
    again = pickle.loads(pickle.dumps(found))
    assert (again.outcome, again.reason, list(again.predictions)) == (found.outcome, found.reason, ["signals"])


def test_several_come_back_in_order_with_their_near_duplicates() -> None:
    paths = sorted(IMAGES.glob("mountains*"))
    found = score(iter(paths[::-1]))
    assert [Path(one.name).name for one in found] == ["mountains_again.jpg", "mountains.png"]
    assert [one.outcome for one in found] == ["accept", "review"]
    assert "mountains_again.jpg" in found[1].predictions["signals"].notes[0]
    assert score([]) == []


def test_near_duplicates_are_found_across_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "WINDOW", 1)
    many = [*map(soft, range(19)), soft(0)]
    assert [n for n, one in enumerate(score(many)) if one.predictions["signals"].label == "duplicate"] == [19]


def test_a_single_unreadable_picture_is_an_error_and_one_of_many_is_for_review(tmp_path: Path) -> None:
    for wrong, code in ((IMAGES / "truncated.png", "truncated"), (tmp_path / "none.png", "not_a_file")):
        with pytest.raises(UnreadableImage) as raised:
            score(wrong)
        assert raised.value.code == code
        broken, sound = score([wrong, FOX])
        assert (broken.outcome, broken.error, dict(broken.predictions)) == ("review", code, {})
        assert sound.accepted
    with pytest.raises(UnreadableImage, match="image 1: the file is empty"):
        score(b"")


def test_an_image_whose_file_is_broken_is_unreadable_too() -> None:
    with Image.open(IMAGES / "truncated.png") as image, pytest.raises(UnreadableImage, match="image 1: "):
        score(image)


def test_grey_of_16_bits_in_memory_is_read_as_from_a_file_and_stays_as_it_is(tmp_path: Path) -> None:
    grey = Image.fromarray(np.asarray(soft(1).convert("L")).astype(np.uint16) * 257)
    before = grey.tobytes()
    grey.save(tmp_path / "grey.png")
    here, filed = score(grey), score(tmp_path / "grey.png")
    assert here.notes == filed.notes == ("16-bit grey scaled to 8 bits",)
    assert np.array_equal(here.predictions["signals"].values, filed.predictions["signals"].values)
    assert grey.tobytes() == before


def test_a_gate_is_a_text_a_preset_by_name_or_value_or_a_gate() -> None:
    named = preset("signals")
    for gate in ("signals", " signals ", named, named.gate, Gate.parse(named.gate)):
        assert score(FOX, gate).reason == "accept: signals is ok"
    assert score(FOX, "signals.side > 600").reason.startswith("reject: signals.side 512")
    assert score(FOX, "").reason == "accept: the gate is empty"


def test_what_does_not_exist_is_told_with_close_names() -> None:
    with pytest.raises(UnknownName, match=r"no preset 'coherant'\. Did you mean 'coherent'"):
        score(FOX, "coherant")
    with pytest.raises(GateError, match="Did you mean 'blur'"):
        score(FOX, "signals.blr < 1")
    with pytest.raises(GateError, match="coherrence"):
        score(FOX, "coherrence.coherent > 0.5")


def test_a_missing_model_file_is_told_whatever_the_pictures_are() -> None:
    black = Image.new("RGB", (64, 64))  # rejected by `signals`: the model would not be asked
    for given in (black, [black], []):
        with pytest.raises(MissingWeights, match=r"coherence_model\.safetensors .* keepers fetch coherence"):
            score(given, "coherent")


def test_the_judge_stays_between_calls_and_follows_the_model_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    score(FOX)
    first = library._usual_judge()
    assert library._usual_judge() is first
    monkeypatch.setenv(FOLDERS, str(tmp_path))
    assert library._usual_judge().store.folders[0] == tmp_path


def test_ones_own_judge_is_asked_and_keeps_its_nets(tmp_path: Path) -> None:
    work = Work()
    judge = tiny.judge(work, tmp_path, batch=4)
    gate = "reject: cheap.good < 0.2; accept: dear.good >= 0.5"
    red, dark = plain(255, 0, 0), plain(10, 10, 10)
    found = score([red, dark] * 10, gate, judge=judge)
    assert [one.outcome for one in found] == ["accept", "reject"] * 10
    assert work.images("dear") == 10
    assert "dear" not in found[1].predictions
    every = score(dark, gate, judge=judge, everything=True)
    assert isinstance(every, ScoredImage)
    assert set(every.predictions) == {"cheap", "dear"}


def test_a_model_that_fails_on_a_picture_leaves_its_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judge = tiny.judge(Work(), tmp_path)
    monkeypatch.setattr(tiny.TinyNet, "forward", lambda *_: (_ for _ in ()).throw(RuntimeError("out of memory")))
    found = score(plain(9, 9, 9), "cheap.good > 0.5", judge=judge)
    assert found.outcome == "review"
    assert "out of memory" in found.failures["cheap"].reason
    assert found.error == ""


@pytest.mark.parametrize("gate", [None, 0.5, ["signals"]])
def test_what_is_no_gate_is_refused(gate: object) -> None:
    with pytest.raises(TypeError, match="A gate is a text, a Preset or a Gate"):
        score(FOX, gate)  # pyright: ignore[reportCallIssue, reportArgumentType]


@pytest.mark.parametrize("given", [np.zeros((8, 8, 3), dtype=np.uint8), [3], [FOX, None]])
def test_what_is_no_picture_is_refused(given: object) -> None:
    with pytest.raises(TypeError, match="A picture is a path"):
        score(given)  # pyright: ignore[reportCallIssue, reportArgumentType]
