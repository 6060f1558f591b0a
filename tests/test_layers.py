"""Imports point down, none goes in a circle, nothing heavy is imported early, and no package marker breaks a host."""

from __future__ import annotations

import graphlib
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from keepers.tests.imports import ROOT, TREES, imports, modules, statements

MAY_IMPORT = {
    "core": set[str](),
    "collection": {"core"},
    "models": {"core"},
    "library": {"core", "models"},
    "train": {"core", "collection", "models"},
    "cluster": {"core", "collection", "models"},
    "nodes": {"core", "collection", "models"},
    "extension": {"core", "collection", "models"},
    "cli": {"core", "collection", "models", "train", "cluster"},
}
"""The trees, and the others that each may import."""

FLOORS = """
core/errors
core/prediction core/paths core/places core/progress core/toml
core/files core/settings
core/weights/formats/
core/weights/
core/gates/
core/pictures/
core/judging/alike core/judging/better
core/judging/near_duplicates
core/spec
core/runtime
core/metadata/record core/metadata/infotext core/metadata/values core/metadata/prompts/
core/metadata/generation core/metadata/said
core/metadata/graphs/ core/metadata/programs/
core/metadata/
core/judging/ core/captions/
core/heatmaps/

collection/marks collection/statistics/
collection/
collection/sorting/

models/nets/ models/savedmodel/
models/
models/faramir/ models/furry/ models/realism/ models/signals/ models/taste/
models/registry models/presets

train/realism/ train/taste/

cluster/sources/
cluster/output/
cluster/planning/
cluster/running/

library/

nodes/host/
nodes/judging/
nodes/tag_categories
nodes/
nodes/entry

extension/options/
extension/host/
extension/job/ extension/sorting
extension/panel extension/api/
extension/extras extension/script
extension/register

cli/console cli/exit_codes cli/completion cli/named cli/options cli/recipe
cli/not_judged
cli/gates cli/known_output cli/looking cli/machine cli/noted cli/store cli/pages/
cli/captions/ cli/catalogue/ cli/evaluate/ cli/explain/ cli/likeness/ cli/metadata/ cli/prompts/ cli/report/ \
cli/review/ cli/scan/ cli/taste/ cli/training/
cli/commands
cli/app
"""
"""Files and folders from the ground up, a floor a line. Each may import what is inside it and what lies on the lines
above it here, never what stands beside it. A folder ends in "/" and stands for all in it that is not named itself."""

HOSTS = {"comfy", "comfy_api", "comfy_execution", "folder_paths", "server", "modules", "gradio", "launch"}
MOST_FILES = 20
"""Files of Python in one folder."""


@cache
def floors() -> dict[str, int]:
    """The number of the floor on which each named file or folder stands, from the ground up."""
    lines = (line.split() for line in FLOORS.splitlines() if line)
    return {unit: number for number, units in enumerate(lines) for unit in units}


def unit_of(name: str) -> str:
    """The file or folder of `FLOORS` that a file belongs to: the nearest one that is named."""
    known = floors()
    inside = (f"{parent.as_posix()}/" for parent in Path(name).parents)
    found = next((one for one in (name, *inside) if one in known), None)
    assert found, f"{name} stands on no floor: name its folder in FLOORS"
    return found


@cache
def graph() -> dict[str, set[str]]:
    return imports()


@pytest.mark.parametrize("tree", TREES)
def test_trees_import_only_what_they_may(tree: str) -> None:
    allowed = {tree, *MAY_IMPORT[tree]}
    across = {
        f"{name} imports {target}"
        for name, targets in graph().items()
        for target in targets
        if name.startswith(f"{tree}/") and target.split("/")[0] not in allowed
    }
    assert across == set()


def test_floors_import_only_those_below() -> None:
    known = floors()
    wrong: list[str] = []
    for name, targets in graph().items():
        unit = unit_of(name)
        for target in sorted(targets):
            other = unit_of(target)
            same_tree = name.split("/")[0] == target.split("/")[0]
            if same_tree and other != unit and known[other] >= known[unit]:
                wrong.append(
                    f"{name} imports {target}, which is {'above' if known[other] > known[unit] else 'beside'} it"
                )
    assert wrong == []


def test_every_floor_is_there() -> None:
    there = {unit_of(name) for name in graph()}
    assert set(floors()) - there == set(), "named, and holds nothing"


def test_no_import_goes_in_a_circle() -> None:
    try:
        graphlib.TopologicalSorter(graph()).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


def test_no_folder_is_a_hall() -> None:
    count: dict[str, int] = {}
    for name in modules():
        folder = name.rpartition("/")[0]
        count[folder] = count.get(folder, 0) + 1
    assert {folder: files for folder, files in count.items() if files > MOST_FILES} == {}


def test_nothing_imports_keepers_by_its_name() -> None:
    """It has another name in each host."""
    named = [
        name
        for name, path in modules().items()
        for level, module, _ in statements(path)
        if level == 0 and module.split(".")[0] == "keepers"
    ]
    assert named == []


def outside(tree: str) -> dict[str, set[str]]:
    """The packages that the files of a tree import, by file."""
    return {
        name: {module.split(".")[0] for level, module, _ in statements(path) if level == 0}
        for name, path in modules().items()
        if name.startswith(f"{tree}/")
    }


@pytest.mark.parametrize("tree", [tree for tree in TREES if tree not in ("nodes", "extension")])
def test_no_host_below_the_doors(tree: str) -> None:
    assert {name for name, found in outside(tree).items() if found & HOSTS} == set()


@pytest.mark.parametrize("tree", [tree for tree in TREES if tree != "cli"])
def test_only_the_command_line_uses_its_extra(tree: str) -> None:
    assert {name for name, found in outside(tree).items() if found & {"typer", "rich", "click"}} == set()


def test_no_package_marker_below_the_root() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True
    )
    files = (
        listed.stdout.splitlines()
        if listed.returncode == 0
        else [path.relative_to(ROOT).as_posix() for tree in TREES for path in (ROOT / tree).rglob("*.py")]
    )
    assert [name for name in files if name.endswith("/__init__.py")] == []


def run_python(code: str) -> str:
    """What a fresh interpreter prints; it writes no bytecode, which would make folders."""
    environment = {"PYTHONPATH": str(ROOT / ".venv" / "src"), "PATH": "", "PYTHONDONTWRITEBYTECODE": "1"}
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
