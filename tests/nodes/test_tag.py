"""Tag, Caption, Heatmap and the nodes of single models, with tiny random weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from keepers.core.errors import KeepersError, UnknownName
from keepers.nodes.caption import KeepersCaption
from keepers.nodes.heatmap import OWN, KeepersHeatmap
from keepers.nodes.judging.menus import NONE, recipes
from keepers.nodes.model_nodes import KeepersCoherence, KeepersRealism
from keepers.nodes.save import KeepersSave
from keepers.nodes.tag import KeepersTag
from keepers.nodes.tag_categories import OUT, KeepersTagCategories
from keepers.tests.nodes.comfy_models import TAGS, write_models
from keepers.tests.nodes.comfy_stub import MACHINE, batch, comfy, good, run
from keepers.tests.nodes.test_nodes import outputs

__all__ = ["comfy"]

TAG: dict[str, Any] = {"model": ["wd"], "second_model": [NONE], "threshold": [0.01], "top": [0], "max_tags": [0]}
TAG |= {name: [""] for name in ("first", "last", "exclude", "only", "exclude_categories", "require")}
TAG |= {"order": ["score"], "style": ["booru"]}
TAG |= {name: [False] for name in ("escape_brackets", "add_rating", "trailing_comma")} | MACHINE
CAPTION: dict[str, Any] = {"prompt": [""], "template": ["{trigger}, {tags}"], "trigger": [""], "last": [""]}
CAPTION |= {"style": ["booru"], "recipe": [NONE]}


@pytest.fixture
def models(comfy: Any, tmp_path: Path) -> Path:
    """A model folder with tiny models in it."""
    folder = tmp_path / "models" / "keepers"
    write_models(folder)
    return folder


def tag(**inputs: Any) -> dict[str, Any]:
    """What Tag gives."""
    return outputs(KeepersTag, run(KeepersTag, **TAG | inputs))


def caption(**inputs: Any) -> list[str]:
    """What Caption gives."""
    return outputs(KeepersCaption, run(KeepersCaption, **CAPTION | inputs))["written"]


def test_every_image_has_its_caption_tags_and_rating(models: Path) -> None:
    found = tag(images=[good(2), good(1, 64)])
    assert len(found["captions"]) == len(found["tags"]) == len(found["rating"]) == 3
    first = json.loads(found["tags"][0])
    assert {each["tag"] for each in first} <= set(TAGS[4:])
    assert {each["category"] for each in first} <= {"general", "character"}
    assert found["captions"][0].split(", ") == [
        each["tag"].replace("_", " ") if each["tag"] != "^_^" else "^_^" for each in first
    ]
    assert found["rating"][0] in TAGS[:4]
    assert len(found["scores"].images) == 3


def test_options_reach_the_caption(models: Path) -> None:
    images = [good(1)]
    assert tag(images=images, first=["my_fox"], max_tags=[1])["captions"][0].startswith("my_fox, ")
    assert "miku" not in tag(images=images, exclude=["mi*"])["captions"][0]
    assert "fox_\\(animal\\)" in tag(images=images, style=["e621"], escape_brackets=[True])["captions"][0]
    assert tag(images=images, trailing_comma=[True])["captions"][0].endswith(",")
    assert tag(images=images, threshold=[1.0])["captions"] == [""]
    rated = tag(images=images, add_rating=[True])
    assert rated["rating"][0] in rated["captions"][0]


def test_categories_have_settings_of_their_own(models: Path) -> None:
    asked = {"name": ["general"], "what": [OUT], "threshold": [0.5]}
    first = outputs(KeepersTagCategories, run(KeepersTagCategories, **asked))["categories"]
    second = run(KeepersTagCategories, name=["character"], what=["own threshold"], threshold=[1.0], before=[first])
    assert tag(images=[good(1)], categories=[first])["captions"] == ["miku"]
    assert tag(images=[good(1)], categories=[second.args[0]])["captions"] == [""]


def test_a_missing_tagger_is_an_error_and_never_an_empty_caption(comfy: Any) -> None:
    with pytest.raises(KeepersError, match=r"model\.safetensors"):
        tag(images=[good(1)])
    assert "model.safetensors" in str(KeepersTag.validate_inputs(["wd"], [NONE], [False]))
    assert "no tagger" in str(KeepersTag.validate_inputs(["nothing"], [NONE], [False]))


def test_an_image_without_sound_pixels_has_no_caption_and_a_reason(models: Path) -> None:
    found = tag(images=[batch("good,nan")])
    assert found["captions"][0]
    assert found["captions"][1] == ""
    assert "NaN" in found["scores"].images[1].reason
    with pytest.raises(KeepersError, match="NaN"):
        tag(images=[batch("nan")])
    assert tag(images=[torch.zeros(0, 8, 8, 3)])["captions"] == []


def test_scores_of_a_tagger_can_be_saved(models: Path, tmp_path: Path) -> None:
    from keepers.tests.nodes.test_save import SAVE

    found = tag(images=[good(1)])
    run(KeepersSave, images=[good(1)], scores=[found["scores"]], captions=found["captions"], **SAVE)
    assert (tmp_path / "output" / "keepers" / "image_00001_.txt").read_text() == found["captions"][0]


def test_captions_are_written_anew(comfy: Any) -> None:
    assert caption(captions=["red fox, hat (item)", ""], trigger=["trig"]) == ["trig, red fox, hat (item)", "trig"]
    template = ["{tags}. {prompt}"]
    told = caption(captions=["fox", "cat"], prompt=["(a drawing:1.2) <lora:x:1>"], template=template)
    assert told == ["fox. a drawing", "cat. a drawing"]
    assert caption(prompt=["a fox, by night"], template=["{prompt}"]) == ["a fox, by night"]
    assert caption(captions=["red fox"], style=["e621"], template=[""]) == ["red_fox"]
    with pytest.raises(ValueError, match="3 images, but 2 prompts"):
        caption(captions=["a", "b", "c"], prompt=["x", "y"])


def test_captions_from_the_scores_of_tag(models: Path) -> None:
    found = tag(images=[good(2)])
    written = caption(scores=[found["scores"]], trigger=["trig"])
    assert len(written) == 2
    assert all(text.startswith("trig, ") for text in written)


def test_recipes_lie_in_the_model_folder(comfy: Any, tmp_path: Path) -> None:
    place = tmp_path / "models" / "keepers" / "mine.toml"
    place.write_text('[lora]\nfirst = ["from_recipe"]\nexclude = ["hat"]\norder = "given"\n')
    assert recipes() == ["mine.toml#lora"]
    assert caption(captions=["fox, hat"], recipe=["mine.toml#lora"]) == ["from_recipe, fox"]
    for name in ("../../etc/passwd#x", str(place), "other.toml#lora"):
        with pytest.raises(KeepersError, match="no recipe"):
            caption(captions=["fox"], recipe=[name])
    assert "field" in str(KeepersCaption.validate_inputs(template=["{nonsense}"]))


def test_single_models_give_number_word_and_answer(models: Path) -> None:
    asked = {"model": ["coherence"], "class_name": ["coherent"], "threshold": [0.0], **MACHINE}
    found = outputs(KeepersCoherence, run(KeepersCoherence, images=[good(2)], **asked))
    assert found["accept"] == [True, True]
    assert all(0 <= value <= 1 for value in found["score"])
    assert set(found["label"]) <= {"coherent", "incoherent", "semi-incoherent"}
    assert json.loads(found["report"])[0]["scores"]["coherence"]["coherent"] == pytest.approx(found["score"][0], 1e-4)
    real = {"model": ["realism:tiny"], "class_name": ["real"], "threshold": [0.5], **MACHINE}
    answers = outputs(KeepersRealism, run(KeepersRealism, images=[good(2)], **real))
    assert [value >= 0.5 for value in answers["score"]] == answers["accept"]


def test_trained_detectors_stand_in_the_menu(models: Path) -> None:
    (menu,) = (each for each in KeepersRealism.GET_SCHEMA().inputs if each.id == "model")
    assert menu.options == ["realism", "realism:tiny"]
    (classes,) = (each for each in KeepersRealism.GET_SCHEMA().inputs if each.id == "class_name")
    assert set(classes.options) == {"real", "ai"}


def test_heatmaps_are_of_the_images_size_also_inside_inference_mode(models: Path) -> None:
    asked: dict[str, Any] = {"model": ["realism:tiny"], "method": ["grad-cam"], "strength": [0.5], **MACHINE}
    images = [good(2), good(1, 64)]
    with torch.inference_mode():
        found = outputs(KeepersHeatmap, run(KeepersHeatmap, images=images, class_name=["ai"], **asked))
    assert [list(each.shape) for each in found["overlay"]] == [[2, 96, 96, 3], [1, 64, 64, 3]]
    assert [list(each.shape) for each in found["mask"]] == [[2, 96, 96], [1, 64, 64]]
    assert found["label"] == ["ai"] * 3
    assert 0 <= float(found["mask"][0].min()) <= float(found["mask"][0].max()) <= 1
    own = outputs(KeepersHeatmap, run(KeepersHeatmap, images=images, class_name=[OWN], **asked))
    assert all(score >= 0.5 for score in own["score"])
    with pytest.raises(UnknownName):
        run(KeepersHeatmap, images=images, class_name=["nothing"], **asked)
    with pytest.raises(KeepersError, match="cannot be explained"):
        run(KeepersHeatmap, images=[batch("nan")], class_name=[OWN], **asked)


def test_coherence_has_a_heatmap_too(models: Path) -> None:
    menus = {each.id: each.options for each in KeepersHeatmap.GET_SCHEMA().inputs if each.id in ("model", "class_name")}
    assert {"coherence", "faramir", "realism:tiny"} <= set(menus["model"])
    assert {"coherent", "incoherent", "ai"} <= set(menus["class_name"])
    asked: dict[str, Any] = {"model": ["coherence"], "method": ["grad-cam"], "strength": [0.5], **MACHINE}
    found = outputs(KeepersHeatmap, run(KeepersHeatmap, images=[good(1)], class_name=["incoherent"], **asked))
    assert list(found["mask"][0].shape) == [1, 96, 96] and found["label"] == ["incoherent"]
