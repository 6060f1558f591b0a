from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner, Result

from keepers.cli.app import app
from keepers.collection.similarity import groups_alike, most_similar, onto_plane
from keepers.models.furry import convert as furry_convert
from keepers.models.furry import furry
from keepers.models.furry import towers as furry_towers
from keepers.tests.models.furry import tiny


def vectors(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_most_similar_is_by_direction_alone() -> None:
    features = vectors([2, 0], [0, 5], [1, 1], [-3, 0], [0, 0])
    found = most_similar(vectors([1, 0])[0], features, 5)
    assert [row for row, _ in found] == [0, 2, 1, 4, 3]
    assert [round(cosine, 4) for _, cosine in found] == [1.0, 0.7071, 0.0, 0.0, -1.0]


def test_groups_are_chains_of_neighbours() -> None:
    degrees = [0, 5, 10, 90, 94, 180]
    features = vectors(*([np.cos(np.radians(d)), np.sin(np.radians(d))] for d in degrees))
    assert groups_alike(features, float(np.cos(np.radians(6)))) == [(0, 1, 2), (3, 4)]
    assert groups_alike(features, 0.9999) == []
    assert groups_alike(vectors([0, 0], [0, 0]), 0.5) == []


def test_groups_across_blocks() -> None:
    random = np.random.RandomState(0)
    features = random.normal(size=(2500, 8)).astype(np.float32)
    features[2400] = features[3] * 7
    features[1500] = features[3]
    assert groups_alike(features, 0.9999) == [(3, 1500, 2400)]


@pytest.mark.parametrize("shape", [(40, 5), (5, 40), (3, 1), (10, 10)])
def test_the_plane_is_that_of_largest_variance(shape: tuple[int, int]) -> None:
    features = np.random.RandomState(1).normal(size=shape).astype(np.float32) * np.arange(1, shape[1] + 1)
    points, shares = onto_plane(features.astype(np.float32))
    values = np.linalg.svd(features - features.mean(axis=0), compute_uv=False) ** 2
    expected = np.pad(values, (0, 2))[:2]
    np.testing.assert_allclose((points**2).sum(axis=0), expected, rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(shares, expected / values.sum(), rtol=1e-4, atol=1e-9)


def test_the_same_images_give_the_same_map() -> None:
    features = np.random.RandomState(2).normal(size=(12, 6)).astype(np.float32)
    order = np.random.RandomState(3).permutation(12)
    np.testing.assert_allclose(onto_plane(features)[0][order], onto_plane(features[order])[0], atol=1e-5)


@given(st.integers(1, 6), st.integers(1, 4))
def test_equal_vectors_lie_on_one_point(count: int, width: int) -> None:
    points, shares = onto_plane(np.ones((count, width), dtype=np.float32))
    assert np.abs(points).max() < 1e-9
    assert shares == (0.0, 0.0)


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder with a tiny furry model, called as the plain one."""
    from functools import partial

    name = "convnext_small_tiny"
    known = partial(furry_convert.convert, tags=tiny.KNOWN, recognise=tiny.recognise_as(name))
    monkeypatch.setattr(furry_towers, "make_tower", tiny.make_tower)
    monkeypatch.setattr(furry_convert, "convert", known)
    folder = tmp_path / "models"
    known(tiny.DATA / f"{name}.zip", folder / furry.file_name(furry.PUBLISHED[0].name))
    return folder


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Three scenes, each as PNG and as JPEG, and a file that is no image."""
    folder = tmp_path / "images"
    (folder / "inner").mkdir(parents=True)
    random = np.random.RandomState(0)
    for number in range(3):
        coarse = Image.fromarray(random.randint(0, 256, (5, 5, 3), dtype=np.uint8))
        scene = coarse.resize((96, 80), Image.Resampling.NEAREST)
        scene.save(folder / f"{number}.png")
        scene.save(folder / "inner" / f"{number}.jpg", quality=95)
    return folder


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def told(result: Result) -> str:
    """What was printed, without the line breaks of the terminal."""
    return " ".join(result.output.split())


def test_keepers_similar_ranks_the_copy_first(models: Path, images: Path) -> None:
    found = run("similar", images / "1.png", images, "--models", models, "--json", "--top", 3)
    assert found.exit_code == 0, found.output
    ranked = json.loads(found.stdout)
    assert [Path(one["path"]).name for one in ranked[:2]] == ["1.png", "1.jpg"]
    assert ranked[0]["cosine"] == pytest.approx(1.0, abs=1e-5)
    assert ranked[1]["cosine"] > ranked[2]["cosine"]


def test_keepers_similar_groups_near_duplicates(models: Path, images: Path) -> None:
    (images / "copy.png").write_bytes((images / "1.png").read_bytes())
    strict = run("similar", images, "--models", models, "--json", "--threshold", 0.999999)
    assert [[Path(path).name for path in group] for group in json.loads(strict.stdout)] == [["1.png", "copy.png"]]
    loose = run("similar", images, "--models", models, "--json", "--threshold", -1)
    assert [len(group) for group in json.loads(loose.stdout)] == [7]


def test_keepers_similar_says_what_is_wrong(models: Path, images: Path) -> None:
    assert "which folder" in told(run("similar", images / "1.png", "--models", models))
    assert "is not there" in told(run("similar", images / "no.png", images, "--models", models))
    assert "no feature vectors" in told(run("similar", images, "--model", "signals", "--models", models))
    (images / "broken.png").write_bytes(b"x")
    found = run("similar", images, "--models", models)
    assert found.exit_code == 3
    assert "broken.png" in told(found).replace(" ", "")


def test_keepers_map_writes_a_page(models: Path, images: Path, tmp_path: Path) -> None:
    page = tmp_path / "map.html"
    found = run("map", images, "--models", models, "--report", page)
    assert found.exit_code == 0, found.output
    text = page.read_text("utf-8")
    assert '"kind":"scatter"' in text
    assert "inner" in text
    assert "6 images" in text


def test_keepers_map_needs_three_images(models: Path, images: Path, tmp_path: Path) -> None:
    found = run("map", images / "0.png", images / "1.png", "--models", models, "--report", tmp_path / "map.html")
    assert found.exit_code == 1
    assert not (tmp_path / "map.html").exists()


def test_keepers_convert(models: Path, tmp_path: Path) -> None:
    source = tiny.DATA / "convnext_small_tiny.zip"
    cuts = ("--cuts", 0.2, 0.4)
    made = run("convert", "furry", source, "--models", models, "--name", "mine", *cuts, "--pixels", "raw")
    assert made.exit_code == 0, made.output
    assert (models / "furry_mine.safetensors").is_file()
    assert "raw" in made.output
    again = run("convert", "furry", source, "--models", models, "--name", "mine")
    assert again.exit_code == 1
    assert "--force" in told(again)
    assert run("convert", "furry", source, "--models", models, "--name", "mine", "--force").exit_code == 0
    wrong = run("convert", "furry", source, "--models", models, "--cuts", 0.9, 0.1)
    assert wrong.exit_code == 1
    assert "--cuts" in told(wrong)
    assert "web page" in told(run("convert", "furry", saved_page(tmp_path), "--models", models))


def saved_page(folder: Path) -> Path:
    """What a browser saves when Google Drive asks first."""
    path = folder / "model.zip"
    path.write_text("<!DOCTYPE html><html><title>Google Drive - Virus scan warning</title>")
    return path
