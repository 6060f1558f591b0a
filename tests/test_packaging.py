"""The wheel holds every module and data file, and runs where nothing of the checkout is on the path."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHIPPED = ("core", "collection", "models", "cli", "train", "cluster", "nodes", "extension", "library")
DATA = (".json", ".txt", ".csv", ".html", ".js", ".css", ".toml")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of this checkout, built beside it, so that the build leaves nothing here."""
    source = tmp_path_factory.mktemp("source") / "keepers"
    source.mkdir()
    for name in ("__init__.py", "__main__.py", "py.typed", "pyproject.toml", "README.md", "LICENSE", *SHIPPED):
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, source / name)
    out = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(out),
        ".",
    ]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=180)
    (found,) = out.glob("keepers-*.whl")
    return found


def test_every_file_is_in_it(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    wanted = {
        f"keepers/{path.relative_to(ROOT).as_posix()}"
        for folder in SHIPPED
        for path in (ROOT / folder).rglob("*")
        if path.suffix == ".py" or (path.suffix in DATA and path.is_file())
    }
    assert wanted - inside == set()
    assert "keepers/py.typed" in inside, "type checkers read the annotations of a package that says so"
    assert not any(folder in name for name in inside for folder in ("tests/", "docs/", "benchmarks/", "CONTRIBUTING"))


def test_it_runs_by_itself(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import keepers.cli.app; print(keepers.__file__)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(tmp_path))


def test_versions_agree() -> None:
    from keepers import __version__

    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"$', text, re.MULTILINE)
    assert found
    assert found.group(1) == __version__


def test_hosts_are_never_asked_for_torch() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found = re.search(r"^dependencies = \[(.*?)\]$", text, re.MULTILINE)
    assert found
    names = set(re.findall(r'"([^"]+)"', found.group(1)))
    assert names == {"timm", "safetensors", "huggingface_hub", "pillow", "numpy"}  # and none with a bound


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_the_demo_installs_the_command_and_nothing_more(tmp_path: Path) -> None:
    def told(target: str) -> str:
        command = ["make", "--dry-run", target, f"VENV={tmp_path / 'none'}"]
        return subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60).stdout

    assert re.findall(r"'\.\[(.+?)\]'", told("demo")) == ["cli"]
    assert re.findall(r"'\.\[(.+?)\]'", told("test")) == ["cli", "cli,dev,ray"]
