"""`keepers explain`: what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from PIL import Image
from safetensors.torch import save_file
from typer.testing import CliRunner

from keepers.cli.commands import guarded
from keepers.cli.explain.explain import explain
from keepers.cli.options import with_options
from keepers.models import aesthetic, arniqa, registry
from keepers.models.faramir import faramir, labels
from keepers.tests.models.tiny_models import faramir_tensors
from keepers.tests.parity.faramir_pictures import scene

RUN = CliRunner()


@pytest.fixture(scope="module")
def app() -> typer.Typer:
    """The one command, guarded as in the program."""
    own = typer.Typer()
    own.callback()(lambda: None)
    own.command("explain")(guarded(with_options(explain)))
    return own


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny files of FARAMIR, and nothing of ARNIQA's regressors."""
    import torch

    folder = tmp_path_factory.mktemp("weights")
    tensors = faramir_tensors()
    save_file(tensors["backbone"], folder / "model.safetensors")
    files = {"own": "faramir-v1.pth", "arniqa": "ARNIQA.pth", "aesthetic": "aesthetic_predictor_v2_5.pth"}
    for part, name in files.items():
        torch.save(tensors[part], folder / name)
    return folder


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    specs = registry.Registry(faramir.SPEC, aesthetic.SPEC, arniqa.SPEC)
    monkeypatch.setattr("keepers.cli.machine.REGISTRY", specs)
    monkeypatch.setenv("KEEPERS_MODELS", "")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture.png"
    scene(500, 400, 1).save(path)
    return path


def test_everything_is_printed_and_adds_up(app: typer.Typer, folder: Path, picture: Path) -> None:
    result = RUN.invoke(app, ["explain", str(picture), "--models", str(folder), "--json", "--device", "cpu"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    total = found["start"] + sum(one["adds"] for one in found["contributions"])
    assert total == pytest.approx(found["logit"], abs=1e-3)
    assert len(found["contributions"]) == 32
    assert (found["label"] in labels.ACCEPTED) == (found["accept"] > 0.5)
    assert isinstance(found["beside"]["aesthetic.score"], float)
    assert found["beside"]["arniqa.quality"] is None, "its regressor is not here"


def test_text_heatmap_and_page(app: typer.Typer, folder: Path, picture: Path, tmp_path: Path) -> None:
    where = ["--models", str(folder), "--device", "cpu"]
    files = ["--heatmap", str(tmp_path / "map.png"), "--label", "accept", "--plot", str(tmp_path / "why.html")]
    result = RUN.invoke(app, ["explain", str(picture), *where, *files, "--top", "3"], env={"COLUMNS": "160"})
    assert result.exit_code == 0, result.output
    for words in (
        "speaks for accepting",
        "speaks for rejecting",
        "every gate closed",
        "29 more",
        "keepers fetch arniqa",
    ):
        assert words in result.output
    with Image.open(tmp_path / "map.png") as image:
        assert image.size == (500, 400)
    page = (tmp_path / "why.html").read_text()
    assert page.count("<tr>") == 3 + 9 + 21 + 32
    assert 'src="data:image/jpeg' in page
    assert "http" not in page


def test_models_without_a_map_are_refused(app: typer.Typer, folder: Path, picture: Path) -> None:
    where = ["--model", "aesthetic", "--models", str(folder), "--device", "cpu"]
    result = RUN.invoke(app, ["explain", str(picture), *where])
    assert result.exit_code == 1
    assert "neither by its decision nor by a heatmap" in " ".join(result.output.split())


def test_missing_weights_say_what_to_do(app: typer.Typer, picture: Path, tmp_path: Path) -> None:
    result = RUN.invoke(
        app,
        ["explain", str(picture), "--models", str(tmp_path), "--device", "cpu"],
        env={"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)},
    )
    assert result.exit_code == 1
    assert "model.safetensors" in result.output or "faramir-v1.pth" in result.output


def test_a_label_needs_a_heatmap(app: typer.Typer, picture: Path) -> None:
    result = RUN.invoke(app, ["explain", str(picture), "--label", "accept"])
    assert result.exit_code == 1
    assert "--heatmap" in result.output
