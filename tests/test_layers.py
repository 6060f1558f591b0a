"""Imports point one way, nothing heavy is imported early, and no marker of a package breaks a host."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "core": set[str](),
    "collection": {"core"},
    "models": {"core"},
    "train": {"core", "models", "collection"},
    "cluster": {"core", "models", "collection"},
    "cli": {"core", "models", "collection", "train", "cluster"},
    "nodes": {"core", "models", "collection"},
    "extension": {"core", "models", "collection"},
    "library": {"core", "models"},
}
HOSTS = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "modules", "gradio", "launch"}
FOLDERS = sorted(MAY_IMPORT)


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> list[tuple[int, str]]:
    """Level and name of every import statement in a file, wherever it stands."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            found.append((node.level, node.module or ""))
        elif isinstance(node, ast.Import):
            found += [(0, alias.name) for alias in node.names]
    return found


@pytest.mark.parametrize("folder", FOLDERS)
def test_imports_point_down(folder: str) -> None:
    for path in sources(folder):
        depth = len(path.relative_to(ROOT).parts) - 1
        for level, name in imported(path):
            if level > depth and name:
                target = name.split(".")[0]
                allowed = MAY_IMPORT[folder] | {folder}
                assert target in allowed, f"{path.relative_to(ROOT)} imports {target}"
            assert not (level == 0 and name.split(".")[0] == "keepers"), f"{path} imports Keepers by its name"


@pytest.mark.parametrize("folder", ["core", "models", "train", "cluster", "cli", "library"])
def test_no_host_below_the_doors(folder: str) -> None:
    for path in sources(folder):
        names = {name.split(".")[0] for level, name in imported(path) if level == 0}
        assert not names & HOSTS, f"{path.relative_to(ROOT)} imports {names & HOSTS}"


def test_only_the_command_line_uses_its_extra() -> None:
    for folder in ("core", "models", "train", "cluster", "nodes", "extension", "library"):
        for path in sources(folder):
            names = {name.split(".")[0] for level, name in imported(path) if level == 0}
            assert not names & {"typer", "rich", "click"}, path.relative_to(ROOT)


def test_no_package_marker_below_the_root() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    files = (
        listed.stdout.splitlines()
        if listed.returncode == 0
        else [str(p.relative_to(ROOT)) for p in ROOT.glob("*/*.py")]
    )
    assert [name for name in files if name.endswith("/__init__.py")] == []


def run_python(code: str) -> str:
    environment = {"PYTHONPATH": str(ROOT / ".venv" / "src"), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_registry_loads_neither_torch_nor_timm() -> None:
    code = (
        "import sys, keepers.models.registry\n"
        "print([n for n in ('torch', 'timm', 'torchvision', 'huggingface_hub') if n in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_importing_keepers_reaches_for_nothing() -> None:
    code = (
        "import sys\n"
        "sys.dont_write_bytecode = True\n"  # the folders for it are Python's own doing
        "events = []\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'subprocess.Popen', 'os.mkdir', 'os.system', 'pickle.find_class'):\n"
        "        events.append(event)\n"
        "sys.addaudithook(hook)\n"
        "import keepers, keepers.models.registry, keepers.core.judging.judge\n"
        "import keepers.collection.scan, keepers.collection.store\n"
        "print(events)"
    )
    assert run_python(code) == "[]"
