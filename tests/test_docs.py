"""The documents agree with the tree: the picture of the floors, the table of folders, every path they name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from keepers.docs.draw_floors import PICTURE, SAYS, arrows, draw, floors, folders, python_files

ROOT = Path(__file__).parent.parent
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PLACE = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|\w+\.(?:py|md|toml))`")
"""A folder or a file in the text: with a slash in it, or with the ending of a file."""


def write(root: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)


def test_the_picture_is_drawn_from_the_imports_as_they_are() -> None:
    assert PICTURE.read_text(encoding="utf-8") == draw(), "draw it again: python docs/draw_floors.py"


def test_every_folder_with_code_is_on_the_picture() -> None:
    beside = {"tests", "benchmarks", "examples", "docs", "scripts"}
    assert set(folders(ROOT)) == {path.parent.name for path in ROOT.glob("*/*") if is_code(path, beside)}


def is_code(path: Path, beside: set[str]) -> bool:
    folder = path.parent
    return not folder.name.startswith((".", "_")) and folder.name not in beside and bool(python_files(folder))


def test_a_folder_stands_above_what_it_imports_and_follows_from_nothing_twice(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "core/gates/gate.py": "from ..errors import E",
            "core/errors.py": "",
            "models/a.py": "def later():\n    from ..core.gates.gate import Gate",
            "collection/b.py": "if TYPE_CHECKING:\n    from ..core import errors",
            "cli/scan/scan.py": "from ...models import a\nfrom ...collection.b import x\nfrom ...core.errors import E",
            "cli/version.py": "from .. import __version__",
        },
    )
    graph = folders(tmp_path)
    assert floors(graph) == {"core": 1, "collection": 2, "models": 2, "cli": 3}
    drawn = [("cli", "collection"), ("cli", "models"), ("collection", "core"), ("models", "core")]
    assert arrows(graph) == drawn
    picture = draw(tmp_path)
    assert picture == draw(tmp_path)
    assert picture.count('class="arrow"') == 4
    assert ">gates/<" in picture
    write(tmp_path, {"core/bad.py": "from ..cli.scan import scan"})
    assert len(set(floors(folders(tmp_path)).values())) == 1, "a circle has one floor, and is drawn all the same"


def test_the_table_has_every_folder_once() -> None:
    named = re.findall(r"^\| `([\w/]+)/` \|", ARCHITECTURE, re.MULTILINE)
    there = {path.parent.relative_to(ROOT).as_posix() for name in SAYS for path in python_files(ROOT / name)}
    assert len(set(named)) == len(named)
    assert set(named) == there


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_the_places_that_a_document_names_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    made = set(re.findall(r"^`([^`]+)`:$", text, re.MULTILINE)) | {"warmth.json"}
    for place in PLACE.findall(text):
        assert (ROOT / place).exists() or place in made, f"{name} names {place}"


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md", "README.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        path, _, part = target.partition("#")
        assert ((ROOT / name).parent / path).exists(), f"{name} links to {target}"
        assert path or part in headings, f"{name} links to {target}"
