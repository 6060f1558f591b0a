"""`keepers scan`, `models`, `fetch` and `undo` as a user types them."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from keepers.cli import exit_codes

ROOT = Path(__file__).parents[3]


def keepers(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a process of its own."""
    command = [sys.executable, "-m", "keepers", *map(str, arguments)]
    return subprocess.run(
        command, capture_output=True, text=True, env=surroundings(**environment), timeout=600, encoding="utf-8"
    )


def surroundings(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT / ".venv" / "src"),
        "PYTHONIOENCODING": "utf-8",
        "COLUMNS": "200",
        **more,
    }


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    from keepers.examples.pictures import ORDINARY

    folder = tmp_path / "pictures"
    folder.mkdir()
    ORDINARY["mountains"]().save(folder / "good.png")
    Image.new("RGB", (512, 512)).save(folder / "black.png")
    (folder / "broken.png").write_bytes(b"not an image")
    return folder


def test_a_scan_from_end_to_end(pictures: Path, tmp_path: Path) -> None:
    out, db = tmp_path / "out", tmp_path / "k.db"
    targets = ["--jsonl", out / "a.jsonl", "--json", out / "a.json", "--csv", out / "a.csv", "--report", out / "a.html"]
    done = keepers("scan", pictures, "--db", db, *targets, "--sort", tmp_path / "sorted")
    assert done.returncode == exit_codes.UNJUDGED, done.stderr
    assert "scan 3, skip 0" in done.stderr
    assert "3 images" in done.stderr
    assert done.stdout == ""
    lines = [json.loads(line) for line in (out / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {Path(line["path"]).name: line["verdict"] for line in lines} == {
        "black.png": "reject",
        "broken.png": "review",
        "good.png": "accept",
    }
    assert next(line["error"] for line in lines if line["path"].endswith("broken.png")) == "not_image"
    assert json.loads((out / "a.json").read_text(encoding="utf-8")) == lines
    with (out / "a.csv").open(encoding="utf-8", newline="") as file:
        assert [row["verdict"] for row in csv.DictReader(file)] == [line["verdict"] for line in lines]
    assert "good.png" in (out / "a.html").read_text(encoding="utf-8")
    places = {path.relative_to(tmp_path / "sorted").as_posix() for path in (tmp_path / "sorted").rglob("*.png")}
    assert places == {"accepted/good.png", "rejected/black.png", "review/broken.png"}
    assert len(list(pictures.iterdir())) == 3

    again = keepers("scan", pictures, "--db", db)
    assert "scan 0, skip 3" in again.stderr
    assert again.returncode == exit_codes.UNJUDGED

    back = keepers("undo", tmp_path / "sorted")
    assert back.returncode == 0, back.stderr
    assert list((tmp_path / "sorted").rglob("*.png")) == []


def test_how_models_saw_a_picture_is_noted(pictures: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    with Image.open(pictures / "good.png") as good:
        good.save(pictures / "turned.jpg", exif=exif)
        clear = good.convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 100, 100))
    clear.save(pictures / "clear.png")
    clear.convert("LA").save(pictures / "grey.png")
    files = ["--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv", "--report", tmp_path / "a.html"]
    done = keepers("scan", pictures, "--db", tmp_path / "k.db", *files)
    assert "1 noted: its EXIF rotation is not applied" in done.stderr
    assert "2 noted: partly transparent" in done.stderr
    assert "1 noted: grey or palette colours with transparency" in done.stderr
    told = {Path(line["path"]).name: line["notes"] for line in json.loads((tmp_path / "a.json").read_text("utf-8"))}
    assert {name: len(notes) for name, notes in told.items()} == {
        "black.png": 0,
        "broken.png": 1,
        "good.png": 0,
        "turned.jpg": 1,
        "clear.png": 1,
        "grey.png": 2,
    }
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        assert {Path(row["path"]).name: row["notes"] for row in csv.DictReader(file)} == {
            name: "; ".join(notes) for name, notes in told.items()
        }
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert page.count("its EXIF rotation is not applied") == 2  # beside the image, and in the count
    again = keepers("scan", pictures, "--db", tmp_path / "k.db", "--csv", tmp_path / "b.csv")
    assert "2 noted: partly transparent" in again.stderr
    keepers("report", pictures, "--db", tmp_path / "k.db", "--output", tmp_path / "b.html")
    assert (tmp_path / "b.html").read_text(encoding="utf-8").count("its EXIF rotation is not applied") == 2


def test_data_goes_to_the_output_stream_alone(pictures: Path) -> None:
    done = keepers("scan", pictures / "good.png", "--no-db", "--jsonl", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout)["verdict"] == "accept"


def test_moving_and_undoing(pictures: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    done = keepers("scan", pictures, "--no-db", "--sort", tmp_path / "sorted", "--sort-by", "move", "-q")
    assert [path.name for path in pictures.iterdir()] == ["broken.png"]  # nobody judged it
    assert "1 lie where they were" in done.stderr
    assert keepers("undo", tmp_path / "sorted").returncode == 0
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before


def test_a_data_set_is_not_split_by_sorting(pictures: Path, tmp_path: Path) -> None:
    for name in ("good.txt", "black.caption", "broken.png.json", "good.prompt", "notes.txt"):
        (pictures / name).write_text(name)
    before = {path.name: path.read_bytes() for path in pictures.iterdir()}
    sort = ("--no-db", "--sort", tmp_path / "sorted", "--sort-by", "move", "-q")
    keepers("scan", pictures, *sort, "--sidecar", ".prompt")
    places = {path.relative_to(tmp_path / "sorted").as_posix() for path in (tmp_path / "sorted").rglob("*.*")}
    assert {place for place in places if not place.endswith(".jsonl")} == {
        *("accepted/good.png", "accepted/good.txt", "accepted/good.prompt"),
        *("rejected/black.png", "rejected/black.caption"),
    }
    assert {path.name for path in pictures.iterdir()} == {"notes.txt", "broken.png", "broken.png.json"}
    assert keepers("undo", tmp_path / "sorted").returncode == 0
    assert {path.name: path.read_bytes() for path in pictures.iterdir()} == before
    refused = keepers("scan", pictures, *sort, "--sidecar", "png")
    assert refused.returncode == exit_codes.ERROR and "'png'" in refused.stderr


def test_an_image_that_is_sorted_without_its_sidecar_is_told(pictures: Path, tmp_path: Path) -> None:
    (pictures / "good.txt").symlink_to("words")
    (pictures / "words").write_text("a hill")
    done = keepers("scan", pictures / "good.png", "--no-db", "--sort", tmp_path / "sorted", "--sort-by", "move")
    assert done.returncode == exit_codes.UNJUDGED
    assert "good.txt is a link" in done.stderr
    assert "1 were sorted without one of their sidecars" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--gate", "accept: signals.okay > 0.5"], "okay"),
        (["--gate", "accept: signals.ok >"], "^"),
        (["--gate", "accept: signal.ok > 0.5"], "signals"),
        (["--preset", "signal"], "signals"),
        (["--model", "coherense"], "coherence"),
        (["--model", "signals", "--preset", "signals"], "exclude each other"),
        (["--gate", "@/nothing/there"], "cannot be read"),
        (["--device", "gpu9"], "gpu9"),
        (["--weights", "nonsense"], "NAME=PATH"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(pictures: Path, arguments: list[str], told: str) -> None:
    done = keepers("scan", pictures, "--no-db", *arguments)
    assert done.returncode == exit_codes.ERROR
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_usage(pictures: Path) -> None:
    assert keepers("scan").returncode == exit_codes.USAGE
    assert keepers("scan", pictures, "--no-such-option").returncode == exit_codes.USAGE


def test_a_damaged_store_is_told(pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "k.db").write_bytes(b"nonsense" * 200)
    done = keepers("scan", pictures, "--db", tmp_path / "k.db")
    assert done.returncode == exit_codes.ERROR
    assert "Move it away" in done.stderr


@pytest.mark.parametrize("more", [[], ["--watch"]], ids=["once", "watching"])
def test_a_missing_model_stops_a_scan_before_its_first_image(pictures: Path, tmp_path: Path, more: list[str]) -> None:
    out, place = tmp_path / "a.jsonl", tmp_path / "sorted"
    targets = ["--jsonl", out, "--db", tmp_path / "k.db", "--sort", place, "--sort-by", "move"]
    done = keepers("scan", pictures, "--preset", "coherent", *targets, *more)
    assert done.returncode == exit_codes.ERROR
    for told in ("coherence_model.safetensors", "keepers fetch coherence", "--download", "--allow-missing"):
        assert told in done.stderr
    assert "MODEL" not in done.stderr
    assert not out.exists() and not place.exists() and len(list(pictures.iterdir())) == 3


def test_a_missing_model_that_is_allowed_means_review_and_one_line(pictures: Path, tmp_path: Path) -> None:
    for n in range(5):
        Image.effect_mandelbrot((256, 256), (-2 - n, -1, 1, 1), 80).save(pictures / f"more{n}.png")
    place, allowed = tmp_path / "sorted", ["--preset", "coherent", "--allow-missing", "--db", tmp_path / "k.db"]
    assert "scan 8, skip 0" in keepers("scan", pictures, *allowed).stderr
    done = keepers("scan", pictures, *allowed, "--jsonl", "-", "--sort", place, "--sort-by", "move")
    assert "scan 6, skip 2" in done.stderr  # black and broken are final, the others are looked at again
    assert done.returncode == exit_codes.UNJUDGED
    lines = {Path(line["path"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert [one["kind"] for one in lines["good.png"]["unjudged"]] == ["missing"]
    assert lines["good.png"]["unjudged"][0]["model"] == "coherence"
    lost = [line for line in lines.values() if line["unjudged"] and not line["error"]]
    assert f"{len(lost):,}  coherence is not on this machine: keepers fetch coherence" in done.stderr
    assert done.stderr.count("coherence_model.safetensors") == 0 and "MODEL" not in done.stderr
    assert (place / "review" / "good.png").exists() and (place / "rejected" / "black.png").exists()
    assert [path.name for path in pictures.iterdir()] == ["broken.png"]  # a missing model was allowed, no broken file


def test_nothing_to_scan(tmp_path: Path) -> None:
    done = keepers("scan", tmp_path, "--no-db", "--json", "-")
    assert done.returncode == 0
    assert json.loads(done.stdout) == []
    assert keepers("scan", tmp_path / "gone", "--no-db").returncode == exit_codes.UNJUDGED


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_watching_takes_new_files_and_ctrl_c_ends_it_well(pictures: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.jsonl"
    command = [sys.executable, "-m", "keepers", "scan", str(pictures), "--no-db", "--watch", "--jsonl", str(out)]
    watching = subprocess.Popen(command, env=surroundings(), stderr=subprocess.PIPE, text=True)
    try:
        wait_for(lambda: out.exists() and len(out.read_text().splitlines()) == 3)
        (pictures / "new.png").write_bytes((pictures / "good.png").read_bytes() + b"more")
        os.utime(pictures / "new.png", (time.time() - 60, time.time() - 60))
        wait_for(lambda: len(out.read_text().splitlines()) == 4)
    finally:
        watching.send_signal(signal.SIGINT)
        _, told = watching.communicate(timeout=300)
    assert "4 images" in told
    assert "Traceback" not in told


def wait_for(true: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.1)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent differently there")
def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for n in range(300):
        Image.new("RGB", (700, 700), (n % 256, 40, 90)).save(folder / f"{n:03}.png", compress_level=1)
    command = [sys.executable, "-m", "keepers", "scan", str(folder), "--db", str(tmp_path / "k.db")]
    out = tmp_path / "a.jsonl"
    running = subprocess.Popen([*command, "--jsonl", str(out)], env=surroundings(), stderr=subprocess.PIPE, text=True)
    wait_for(lambda: out.exists() and len(out.read_text().splitlines()) > 5)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=300)
    assert running.returncode == exit_codes.INTERRUPTED
    assert "goes on from here" in told
    assert all(json.loads(line) for line in out.read_text().splitlines())
    rest = subprocess.run([*command, "--jsonl", "-"], env=surroundings(), capture_output=True, text=True, timeout=600)
    lines = [json.loads(line) for line in rest.stdout.splitlines()]
    assert len(lines) == 300
    assert any(line["known"] for line in lines)


def test_models_are_listed(tmp_path: Path) -> None:
    done = keepers("models")
    assert done.returncode == 0
    for name in ("signals", "coherence"):
        assert name in done.stderr
    facts = {one["id"]: one for one in json.loads(keepers("models", "--json", "--models", tmp_path).stdout)}
    place = Path(facts["coherence"]["files"][0]["belongs_at"])
    assert place.is_relative_to(tmp_path)
    one = keepers("models", "coherence")
    assert "review" in one.stderr
    assert keepers("models", "coherenc").returncode == exit_codes.ERROR


def test_fetch_offline_says_what_to_do() -> None:
    done = keepers("fetch", "coherence", HF_HUB_OFFLINE="1")
    assert done.returncode == exit_codes.ERROR
    for part in ("OpenMDW", "coherence_model.safetensors", "reddesert/coherence_detection", "HF_HUB_OFFLINE"):
        assert part in done.stderr
    assert keepers("fetch", "signals").returncode == 0


def test_version_and_help() -> None:
    from keepers import __version__

    assert keepers("--version").stdout.strip() == f"keepers {__version__}"
    assert "Exit codes" in keepers("--help").stdout
