"""Fast numbers change no caption: a prediction near a threshold is made again exactly before its tags are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.collection.caption_run import CaptionRun
from keepers.collection.store import Store
from keepers.core.captions.recipe import CaptionRecipe, Tagger
from keepers.core.captions.writer import CaptionWriter
from keepers.core.prediction import Labels, Prediction
from keepers.tests import drifting, tiny

LABELS = Labels(("cat", "dog", "fox", "owl"), ("", "", "species", ""), drifts=(("", 0.03), ("species", 0.06)))
TAGGERS = {"t": {"": 0.2}}
RECIPES = (
    CaptionRecipe(),
    CaptionRecipe(threshold=0.5),
    CaptionRecipe(threshold=0.5, top=2),
    CaptionRecipe(top=2),
    CaptionRecipe(thresholds=(("species", 0.7),)),
    CaptionRecipe(taggers=(Tagger("t", weight=0.5),), threshold=0.3),
)
shares = st.integers(0, 20).map(lambda n: n / 20)


def fast(values: list[float]) -> Prediction:
    return Prediction("t", LABELS, np.array(values, np.float32), tolerance=1)


@given(st.sampled_from(RECIPES), st.lists(shares, min_size=4, max_size=4), st.data())
@settings(max_examples=300, deadline=None)
def test_exact_values_give_the_same_tags_unless_a_threshold_is_near(
    recipe: CaptionRecipe, values: list[float], data: st.DataObject
) -> None:
    writer, coarse = CaptionWriter(recipe, TAGGERS), fast(values)
    if writer.near(coarse):
        return
    steps = np.array([data.draw(st.floats(-1, 1)) for _ in values])
    moved = coarse.values + steps * [coarse.drift(label) for label in LABELS.names]
    exact = replace(coarse, values=moved.clip(0, 1).astype(np.float32), tolerance=0.0)
    ours, theirs = writer([coarse]), writer([exact])
    assert {tag.name for tag in ours.tags} == {tag.name for tag in theirs.tags}


def test_only_what_can_change_the_caption_is_near() -> None:
    writer = CaptionWriter(CaptionRecipe(), TAGGERS)
    assert writer.near(fast([0.22, 0.9, 0.9, 0.0]))
    assert not writer.near(fast([0.24, 0.9, 0.9, 0.0]))
    assert writer.near(fast([0.9, 0.9, 0.255, 0.0])), "its group drifts further"
    assert writer.near(replace(fast([0.24, 0.9, 0.9, 0.0]), tolerance=2.0))
    assert not writer.near(replace(fast([0.2, 0.2, 0.2, 0.2]), tolerance=0.0))
    assert not CaptionWriter(CaptionRecipe(source="prompt"), TAGGERS).near(fast([0.2, 0.2, 0.2, 0.2]))


def test_a_caption_run_asks_again_what_is_near(tmp_path: Path) -> None:
    """Also what an earlier run stored at fast, when another recipe brings its threshold near."""
    writer = CaptionWriter(CaptionRecipe(threshold=0.5), {"dear": {"": 0.5}})
    files = [tmp_path / f"{level}.png" for level in (120, 126, 128, 134, 240)]
    for path in files:
        tiny.plain(int(path.stem), 0, 0).save(path)
    tags: dict[str, list[set[str]]] = {}
    for precision in ("exact", "fast"):
        weights = tmp_path / precision
        weights.mkdir()
        with Store(tmp_path / f"{precision}.db") as store:
            run = CaptionRun(writer, drifting.judge(weights, precision, 0.9), ("dear",), store=store)
            tags[precision] = [{tag.name for tag in one.caption.tags} for one in run.captions(files) if one.caption]
    assert tags["fast"] == tags["exact"] and len(tags["exact"]) == len(files)


def test_a_stored_fast_prediction_is_made_again_when_a_threshold_comes_near(tmp_path: Path) -> None:
    path = tmp_path / "140.png"
    tiny.plain(140, 0, 0).save(path)  # 0.549 exactly
    judge = drifting.judge(tmp_path, "fast", 0.9)
    with Store(tmp_path / "db") as store:
        for threshold, tolerance in ((0.3, 1), (0.54, 0), (0.3, 0)):
            writer = CaptionWriter(CaptionRecipe(threshold=threshold), {"dear": {"": 0.5}})
            (one,) = CaptionRun(writer, judge, ("dear",), store=store).captions([path])
            assert one.caption and [tag.name for tag in one.caption.tags][:1] == ["good"]
            (contents,) = store.query("SELECT content, fingerprint, MIN(tolerance) FROM prediction")
            assert contents[2] == tolerance, threshold


@pytest.mark.parametrize("top", [1, 2])
def test_a_tag_at_the_cut_is_near(top: int) -> None:
    writer = CaptionWriter(CaptionRecipe(top=top), TAGGERS)
    values = [0.9, 0.5, 0.1, 0.0]
    assert not writer.near(fast(values))
    values[top] = values[top - 1] - 0.05
    assert writer.near(fast(values))
