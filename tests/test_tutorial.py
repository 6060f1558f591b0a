"""CONTRIBUTING.md is followed to the letter in a copy of the tree: files written, edits made, commands run."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
STEP = re.compile(
    r"^(?:`(?P<new>[^`]+)`|In `(?P<old>[^`]+)`|Run):\n\n```\w*\n(?P<block>.+?)^```$", re.MULTILINE | re.DOTALL
)
"""A line that says what a block of code is, and the block: a new file, an edit of an old one, or commands."""
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "demo", "build", "dist", "*.egg-info", ".*_cache")


@dataclass(frozen=True)
class Step:
    """One block of the tutorial."""

    new: str
    old: str
    block: str


def steps() -> Iterator[Step]:
    for found in STEP.finditer(TEXT):
        yield Step(found["new"] or "", found["old"] or "", found["block"])


def edited(text: str, diff: str) -> str:
    """A text with the hunks of a diff applied; each hunk's old lines must be there, once."""
    for hunk in re.split(r"^@@\n", diff, flags=re.MULTILINE):
        lines = hunk.splitlines(keepends=True)
        assert all(line[0] in " +-" or line == "\n" for line in lines), hunk
        before = "".join(line[1:] or line for line in lines if line[0] != "+")
        after = "".join(line[1:] or line for line in lines if line[0] != "-")
        assert text.count(before) == 1, f"these lines stand {text.count(before)} times, not once:\n{before}"
        text = text.replace(before, after)
    return text


def run(tree: Path, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """A command as the tutorial writes it, with this interpreter in place of the one in .venv."""
    programs = {".venv/bin/python": [sys.executable], ".venv/bin/keepers": [sys.executable, "-m", "keepers"]}
    environment = {**os.environ, "PYTHONPATH": str(tree / ".venv" / "src")}
    line = [*programs[command[0]], *command[1:]]
    return subprocess.run(line, cwd=tree, env=environment, capture_output=True, text=True, timeout=300)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "HF_HOME"):
            patch.setenv(name, str(tmp_path_factory.mktemp("home")))
        patch.delenv("KEEPERS_MODELS", raising=False)
        yield


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, home: None) -> Path:
    """A copy of the tree in which every step of the tutorial was taken."""
    tree = tmp_path_factory.mktemp("contributor") / "keepers"
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
    (tree / ".venv" / "src").mkdir(parents=True)
    (tree / ".venv" / "src" / "keepers").symlink_to(Path("..", ".."), target_is_directory=True)
    for step in steps():
        if step.new:
            assert not (tree / step.new).exists(), f"{step.new} is there already"
            (tree / step.new).parent.mkdir(parents=True, exist_ok=True)
            (tree / step.new).write_text(step.block, encoding="utf-8")
        elif step.old:
            path = tree / step.old
            path.write_text(edited(path.read_text(encoding="utf-8"), step.block), encoding="utf-8")
        else:
            for line in step.block.splitlines():
                done = run(tree, shlex.split(line))
                assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return tree


def warm(path: Path) -> float:
    """What the toy model says of a picture, by the arithmetic that the tutorial describes."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BILINEAR), dtype=np.float64) / 255
    difference = pixels[:, :, 0] - pixels[:, :, 2]
    lead = np.maximum(difference, 0).mean() - np.maximum(-difference, 0).mean()
    return float(1 / (1 + np.exp(-8 * lead)))


def test_the_tutorial_is_found_in_the_page() -> None:
    found = list(steps())
    assert [step.new for step in found if step.new] == [
        "models/nets/warmth.py",
        "models/warmth.py",
        "my-models/make_warmth.py",
        "tests/data/contract/warmth/warmth.safetensors.json",
        "tests/models/test_warmth.py",
        "nodes/warmth.py",
    ]
    assert sum(not step.new and not step.old for step in found) == 3
    blocks = len(re.findall(r"^```(?:python|diff|json)$", TEXT, re.MULTILINE))
    assert blocks == sum(bool(step.new or step.old) for step in found), (
        "a block of code has no line that names its file"
    )


def test_the_command_scores_images_with_the_new_model(tree: Path) -> None:
    found = json.loads((tree / "warmth.json").read_text(encoding="utf-8"))
    assert [Path(each["path"]).name for each in found] == ["sticker.png", "night_town.png"]
    assert [(each["verdict"], each["labels"]["warmth"]) for each in found] == [("accept", "warm"), ("reject", "cool")]
    for each in found:
        expected = warm(ROOT / each["path"])
        # Float32: two means over 4096 numbers, each exact to 2**-24 of its size, times 8 at the steepest, 1/4.
        assert each["scores"]["warmth"]["warm"] == pytest.approx(expected, abs=4096**0.5 * 2.0**-22)


def test_every_door_knows_the_new_model_and_the_node(tree: Path) -> None:
    code = (
        "import keepers\n"
        "print(keepers.score('examples/images/sticker.png', 'warmth.warm > 0.5').outcome)\n"
        "import torch, folder_paths\n"
        "from pathlib import Path\n"
        "folder_paths.set_base(Path('comfyui').absolute())\n"
        "from keepers.nodes.entry import all_nodes\n"
        "from keepers.nodes.host.host import register_folder\n"
        "register_folder()\n"
        "(node,) = [node for node in all_nodes() if node.GET_SCHEMA().node_id == 'KeepersWarmth']\n"
        "print(node.execute(images=[torch.tensor([1.0, 0.0, 0.0]).expand(2, 9, 9, 3)]).args)\n"
    )
    environment = {
        **os.environ,
        "KEEPERS_MODELS": "my-models",
        "PYTHONPATH": os.pathsep.join(map(str, (tree / ".venv" / "src", tree / "tests" / "stubs"))),
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tree, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    outcome, numbers = done.stdout.splitlines()
    assert outcome == "accept"
    assert [float(each) for each in re.findall(r"0\.\d+", numbers)] == pytest.approx(
        [1 / (1 + np.exp(-8))] * 2, abs=1e-6
    )


def test_what_the_tutorial_writes_passes_the_linter(tree: Path) -> None:
    made = [step.new or step.old for step in steps() if (step.new or step.old).endswith(".py")]
    for command in (["check"], ["format", "--check"]):
        done = run(tree, [".venv/bin/python", "-m", "ruff", *command, *made])
        assert done.returncode == 0, done.stdout + done.stderr
