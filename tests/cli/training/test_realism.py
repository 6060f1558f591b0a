"""`keepers train`, `evaluate`, `explain` and `prompts` as a user types them, from folders to pages."""

from __future__ import annotations

import csv
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from safetensors.torch import load_file
from typer.testing import CliRunner

from keepers.cli import exit_codes
from keepers.cli.app import app
from keepers.cli.training.view import View
from keepers.core.places import trained_folder
from keepers.tests.textures import write_set


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def keepers(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in arguments], env={"COLUMNS": "200"})


def told(result: Any) -> str:
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def textures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli") / "set"
    write_set(folder, 40, side=136)
    return folder


SMALL = ("--preset", "small", "--size", 96, "--epochs", 24, "--batch", 8)


def classes(root: Path) -> list[object]:
    return ["--class", f"plain={root / 'plain'}", "--class", f"textured={root / 'textured'}"]


def data_of(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module")
def models(textures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model folder with a trained detector, `tex`."""
    folder = tmp_path_factory.mktemp("models")
    out = ["--name", "tex", "--models", folder, "--out", folder / "out"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data")))
        done = keepers("train", "realism", *classes(textures), *SMALL, *out)
    assert done.exit_code == exit_codes.OK, done.output
    assert "beware Few images" in told(done) and "from scratch" in told(done)
    return folder


def test_training_leaves_a_detector_numbers_and_a_page(models: Path) -> None:
    assert (models / "realism" / "tex.safetensors").is_file()
    numbers = json.loads((models / "out" / "metrics.json").read_text(encoding="utf-8"))
    assert numbers["classes"] == ["plain", "textured"] and numbers["training"]["preset"] == "small"
    assert len(numbers["training"]["history"]) == numbers["training"]["epochs"]
    data = data_of(models / "out" / "report.html")
    titles = [panel["title"] for panel in data["panels"]]
    assert {"Loss", "Accuracy", "Confusion matrix", "Each class", "ROC", "Calibration", "Images"} <= set(titles)
    assert not list((models / "out").glob("pixels*"))


def test_evaluate_tells_the_classes_apart(models: Path, textures: Path, tmp_path: Path) -> None:
    out = ["--json", tmp_path / "e.json", "--report", tmp_path / "e.html", "--no-db", "--models", models]
    done = keepers("evaluate", textures, "--model", "realism:tex", *out)
    assert done.exit_code == exit_codes.OK, done.output
    facts = json.loads((tmp_path / "e.json").read_text())
    assert facts["images"] == 80 and facts["accuracy"] >= 0.9 and facts["not_judged"] == 0
    low, high = facts["accuracy_interval"]
    assert low < facts["accuracy"] <= high
    assert sum(map(sum, facts["rows_true_columns_answered"])) == 80
    assert {curve["positive"] for curve in facts["curves"]} == {"plain", "textured"}
    assert facts["curves"][0]["area"] > 0.95
    assert len(data_of(tmp_path / "e.html")["rows"]["path"]) == 80


def test_evaluate_gates_scores_and_tables(models: Path, textures: Path, tmp_path: Path) -> None:
    common = ["--no-db", "--models", models, "--json", tmp_path / "e.json"]
    expect = ["--expect", "plain=accept", "--expect", "textured=reject"]
    done = keepers("evaluate", textures, "--gate", "accept: realism:tex.plain >= 0.5", *expect, *common)
    by_gate = json.loads((tmp_path / "e.json").read_text())
    assert done.exit_code == exit_codes.OK and by_gate["classes"] == ["accept", "reject"], done.output
    table = tmp_path / "truth.csv"
    with table.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["File", "Class"])
        rows.writerows([path, path.parent.name] for path in textures.rglob("*.png"))
        rows.writerow(["gone.png", "plain"])
    score = ["--score", "realism:tex.textured", "--positive", "textured", "--target", "precision=0.9"]
    done = keepers("evaluate", "--table", table, *score, *common)
    facts = json.loads((tmp_path / "e.json").read_text())
    assert "gone.png" in done.output
    (curve,) = facts["curves"]
    assert curve["reached"] and curve["precision"] >= 0.9 and curve["score"] == "realism:tex.textured"
    assert facts["each"][0]["precision"] == pytest.approx(curve["precision_there"])
    assert by_gate["accuracy"] >= 0.9


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--model", "realism:tex", "--gate", "signals.ok > 0"], "one of --model, --gate, --preset or --score"),
        (["--gate", "signals.ok > 0"], "What should the gate say of plain, textured?"),
        (["--score", "realism:tex.textured"], "--score needs --positive"),
        (["--model", "realism:tex", "--target", "beauty=1"], "--target takes MEASURE=VALUE"),
        (["--model", "realism:none"], "There is no model 'realism:none'"),
        (["--model", "signals"], "There is no label 'plain'"),
    ],
)
def test_evaluate_says_what_is_wrong(arguments: list[str], expected: str, models: Path, textures: Path) -> None:
    done = keepers("evaluate", textures, *arguments, "--no-db", "--models", models)
    assert done.exit_code == exit_codes.ERROR and expected in told(done), done.output


def test_evaluate_counts_what_it_cannot_judge_apart(models: Path, textures: Path, tmp_path: Path) -> None:
    for name in ("plain", "textured"):
        (tmp_path / name).mkdir()
        source = next((textures / name).iterdir())
        (tmp_path / name / "a.png").write_bytes(source.read_bytes())
    (tmp_path / "plain" / "broken.png").write_bytes(b"no image")
    done = keepers("evaluate", tmp_path, "--model", "realism:tex", "--no-db", "--models", models)
    assert done.exit_code == exit_codes.UNJUDGED
    assert "on 2 images" in told(done) and "1 images could not be judged" in told(done)


def test_explain_shows_where(models: Path, textures: Path, tmp_path: Path) -> None:
    image = next((textures / "textured").iterdir())
    out = ["--heatmap", tmp_path / "h.png", "--raw", tmp_path / "h.npy", "--json", "--models", models]
    done = keepers("explain", image, "--model", "realism:tex", "--label", "textured", *out)
    assert done.exit_code == exit_codes.OK, done.output
    facts = json.loads(done.stdout)
    assert facts["map_of"] == "textured" and facts["seen"] == [20, 20, 116, 116]
    values = np.load(tmp_path / "h.npy", allow_pickle=False)
    with Image.open(tmp_path / "h.png") as overlaid:
        assert overlaid.size == (136, 136) and values.shape == (136, 136)
    assert values.min() >= 0 and values.max() <= 1
    sheet = keepers(
        "explain", textures / "plain", "--model", "realism", "--plot", tmp_path / "s.html", "--models", models
    )
    assert sheet.exit_code == exit_codes.OK, sheet.output
    assert len(data_of(tmp_path / "s.html")["rows"]["path"]) == 40
    wrong = keepers("explain", textures / "plain", "--model", "realism", "--models", models)
    assert wrong.exit_code == exit_codes.ERROR and "--plot" in told(wrong)


def with_prompts(textures: Path, folder: Path) -> Path:
    """Both classes in one folder, as AI images with prompts: the plain ones, which fool the detector, are of fog."""
    random = np.random.RandomState(0)
    listed = ["cat", "dog", "house", "tree", "river", "castle", "street", "portrait"]
    for path in sorted(textures.rglob("*.png")):
        fog = "fog, " if path.parent.name == "plain" else ""
        prompt = fog + ", ".join(random.choice(listed, 3, replace=False)) + ", <lora:film:0.7>"
        info = PngInfo()
        info.add_text("parameters", f"{prompt}\nSteps: 20, Sampler: Euler a, Seed: 1, Size: 136x136")
        folder.mkdir(exist_ok=True)
        with Image.open(path) as image:
            image.save(folder / path.name, pnginfo=info)
    return folder


def test_prompts_that_fool_the_detector(models: Path, textures: Path, tmp_path: Path) -> None:
    folder = with_prompts(textures, tmp_path / "ai")
    out = ["--csv", tmp_path / "p.csv", "--report", tmp_path / "p.html", "--db", tmp_path / "k.db", "--models", models]
    asked = ["--model", "realism:tex", "--truth", "textured", "--resamples", 500]
    done = keepers("prompts", folder, *asked, *out)
    assert done.exit_code == exit_codes.OK, done.output
    with (tmp_path / "p.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    words = [row for row in rows if row["kind"] == "words"]
    assert words[0]["name"] == "fog" and float(words[0]["p corrected"]) < 0.01 and int(words[0]["fooled"]) > 35
    counts = {row["name"]: row for row in rows if row["kind"] == "count"}
    assert float(counts["words"]["p corrected"]) < 0.05 and float(counts["LoRAs"]["fooled"]) == 1
    assert len(data_of(tmp_path / "p.html")["panels"]) >= 5
    by_store = keepers(
        "prompts", "--gate", "accept: realism:tex.plain >= 0.5", "--db", tmp_path / "k.db", "--models", models
    )
    assert by_store.exit_code == exit_codes.OK and "accepted" in by_store.output, by_store.output


def test_prompts_come_from_tables_and_caption_files_too(models: Path, textures: Path, tmp_path: Path) -> None:
    common = ["--db", tmp_path / "k.db", "--models", models, "--resamples", 200]
    asked = ["--gate", "accept: realism:tex.plain >= 0.5"]
    none = keepers("prompts", textures, *asked, *common)
    assert none.exit_code == exit_codes.ERROR and "None of the 80 images has a prompt" in told(none), none.output
    table = tmp_path / "p.csv"
    rows = [f'{path},"a {path.parent.name} picture"' for path in textures.rglob("*.png")]
    table.write_text("file,prompt\n" + "\n".join(rows))
    done = keepers("prompts", textures, *asked, *common, "--table", table)
    assert done.exit_code == exit_codes.OK and "textured" in done.output, done.output
    copies = tmp_path / "captioned"
    copies.mkdir()
    for path in textures.rglob("*.png"):
        (copies / path.name).write_bytes(path.read_bytes())
        (copies / f"{path.stem}.txt").write_text(f"one {path.parent.name} thing")
    done = keepers("prompts", copies, *asked, *common)
    assert done.exit_code == exit_codes.OK and "thing" in done.output, done.output
    alone = keepers("prompts", textures, "--gate", "accept: realism:tex.plain >= 0", *common, "--table", table)
    assert alone.exit_code == exit_codes.ERROR and "No image with a prompt is rejected" in told(alone)


def test_the_sweep_trains_every_share_from_scratch(textures: Path, tmp_path: Path) -> None:
    done = keepers(
        "train", "realism", *classes(textures), "--preset", "small", "--size", 64, "--epochs", 1, "--name", "sweep",
        "--proportions", "0.5,0.9", "--out", tmp_path,
    )  # fmt: skip
    assert done.exit_code == exit_codes.OK, done.output
    assert (trained_folder() / "realism" / "sweep.safetensors").is_file()
    panels = {panel["title"]: panel for panel in data_of(tmp_path / "report.html")["panels"]}
    assert panels["Bias and variance"]["data"]["x"] == [0.5, 0.9]
    assert [row[1] for row in panels["Shares"]["data"]["rows"]] == [32, 64]


def test_ctrl_c_and_the_same_command_again_give_the_same_detector(
    textures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = ["--preset", "small", "--size", 64, "--epochs", 3, "--batch", 16, "--models", tmp_path, "--out", tmp_path]
    whole = keepers("train", "realism", *classes(textures), *short, "--name", "whole")
    assert whole.exit_code == exit_codes.OK, whole.output
    show, steps = View.training, []

    def pressed(self: View, *arguments: Any) -> None:
        steps.append(1)
        if len(steps) == 6:
            signal.raise_signal(signal.SIGINT)
        show(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(View, "training", pressed)
        stopped = keepers("train", "realism", *classes(textures), *short, "--name", "parts")
    assert stopped.exit_code == exit_codes.INTERRUPTED and "goes on from here" in told(stopped), stopped.output
    assert len(steps) == 6 and not (tmp_path / "realism" / "parts.safetensors").exists()
    with monkeypatch.context() as patch:
        patch.setattr(View, "training", lambda self, *arguments: (steps.append(1), show(self, *arguments))[1])
        again = keepers("train", "realism", *classes(textures), *short, "--name", "parts")
    assert again.exit_code == exit_codes.OK and len(steps) == 12, again.output
    first, second = (load_file(tmp_path / "realism" / f"{name}.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_detector_is_not_overwritten_by_accident(models: Path, textures: Path) -> None:
    before = (models / "realism" / "tex.safetensors").read_bytes()
    done = keepers("train", "realism", *classes(textures), *SMALL, "--name", "tex", "--models", models)
    assert done.exit_code == exit_codes.ERROR and "There is a detector 'tex' already" in told(done), done.output
    assert (models / "realism" / "tex.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "at least two classes"),
        (["--class", "plain"], "--class takes NAME=FOLDER"),
        (["--class", "a=x", "--class", "b=y", "--preset", "huge"], "There is no preset 'huge'"),
        (["--class", "a=x", "--class", "b=y", "--size", 16], "at least 32 pixels"),
        (["--class", "a=x", "--class", "b=y", "--name", "../up"], "A detector's name may contain only letters"),
        (["--class", "a=x", "--class", "b=y", "--proportions", "0.5,1"], "at most 0.9"),
        (["--class", "a=x", "--class", "b=y", "--features", "siglip"], "--features goes with --preset probe"),
        (["--class", "a=/nowhere", "--class", "b=/nowhere"], "The folder of class 'a' does not exist"),
    ],
)
def test_train_says_what_is_wrong(arguments: list[Any], expected: str, tmp_path: Path) -> None:
    done = keepers("train", "realism", *arguments, "--models", tmp_path)
    assert done.exit_code == exit_codes.ERROR and expected in told(done), done.output
    assert not (tmp_path / "realism").exists()


def test_a_probe_without_its_backbone_says_what_to_get(textures: Path, tmp_path: Path) -> None:
    done = keepers("train", "realism", *classes(textures), "--preset", "probe", "--name", "p", "--models", tmp_path)
    assert done.exit_code == exit_codes.ERROR and "timm/vit_so400m_patch14_siglip_384" in told(done), done.output


def test_a_probe_on_a_backbone_that_is_here(textures: Path, tmp_path: Path) -> None:
    import timm
    from safetensors.torch import save_file

    name = "mobilenetv3_small_050.lamb_in1k"
    torch.manual_seed(0)
    (tmp_path / f"timm-{name}").mkdir()
    save_file(
        timm.create_model(name, pretrained=False, num_classes=0).state_dict(),
        tmp_path / f"timm-{name}" / "model.safetensors",
    )
    chosen = ["--preset", "probe", "--features", f"timm:{name}", "--name", "p", "--models", tmp_path, "--out", tmp_path]
    done = keepers("train", "realism", *classes(textures), *chosen)
    assert done.exit_code == exit_codes.OK, done.output
    described = json.loads((tmp_path / "metrics.json").read_text())
    assert described["shape"] == {**described["shape"], "kind": "probe", "width": 1024, "base": f"timm:{name}"}
    scanned = keepers("evaluate", textures, "--model", "realism:p", "--no-db", "--models", tmp_path)
    assert scanned.exit_code == exit_codes.OK and "on 80 images" in told(scanned), scanned.output
