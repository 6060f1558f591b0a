"""`import keepers`: a small declared interface that loads nothing until it is used, under any name."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import keepers

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SECTION = README.partition("\n## As a library\n")[2].partition("\n## ")[0]
HEAVY = ("torch", "timm", "torchvision", "numpy", "PIL", "safetensors", "huggingface_hub", "typer", "rich")


def run_python(code: str, *, path: Path | None = None) -> str:
    """What a fresh interpreter prints, in the root of the checkout."""
    environment = {"PYTHONPATH": str(path or ROOT / ".venv" / "src"), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=180, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_importing_it_loads_nothing_else() -> None:
    code = (
        "import sys, keepers\n"
        "names = dir(keepers)\n"
        f"print([n for n in {HEAVY} if n in sys.modules], [n for n in sys.modules if n.startswith('keepers.')])"
    )
    assert run_python(code) == "[] []"


def test_most_names_need_no_torch() -> None:
    names = [name for name in keepers.__all__ if name != "__version__"]
    code = (
        "import sys, keepers\n"
        f"for name in {names}: getattr(keepers, name)\n"
        "print([n for n in ('torch', 'timm', 'torchvision', 'huggingface_hub') if n in sys.modules])"
    )
    assert run_python(code) == "[]"


def test_all_is_sorted_complete_and_what_type_checkers_see() -> None:
    named = keepers.__all__
    assert len(set(named)) == len(named)
    assert named == sorted(named, key=lambda name: (not name.isupper(), name[0].islower() or name[0] == "_", name))
    assert set(named) == {*keepers._HOMES, "__version__"}
    seen = {
        alias.name: "." * node.level + (node.module or "")
        for block in ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8")).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == keepers._HOMES


@pytest.mark.parametrize("name", keepers.__all__)
def test_every_name_is_there_and_explained(name: str) -> None:
    value = getattr(keepers, name)
    assert name in dir(keepers)
    if inspect.isclass(value) or inspect.isroutine(value):
        assert value.__doc__
        assert not value.__doc__.startswith(f"{name}("), "the text that dataclasses make is no explanation"
    elif name != "__version__":
        assert type(value).__doc__


def test_public_methods_are_explained() -> None:
    for owner in filter(inspect.isclass, (getattr(keepers, name) for name in keepers.__all__)):
        for name, member in vars(owner).items():
            if not name.startswith("_") and inspect.isroutine(member):
                assert inspect.getdoc(getattr(owner, name)), f"{owner.__name__}.{name}"


def test_a_name_that_is_not_there_is_an_ordinary_error() -> None:
    with pytest.raises(AttributeError, match=r"^module 'keepers' has no attribute 'scores'$"):
        getattr(keepers, "scores")  # noqa: B009
    assert not hasattr(keepers, "NODE_CLASS_MAPPINGS")
    with pytest.raises(ImportError):
        from keepers import nothing  # pyright: ignore[reportAttributeAccessIssue]  # noqa: F401


def test_submodules_are_reached_as_ever() -> None:
    import keepers.core.gates.gate as module

    assert isinstance(module, ModuleType)
    assert keepers.Gate is module.Gate


@pytest.mark.parametrize("name", ["custom_nodes.keepers", "/comfyui/custom_nodes/Keepers-Pack_x_2", "keepers"])
def test_it_works_under_the_name_a_host_gives(name: str, tmp_path: Path) -> None:
    """As ComfyUI and the WebUI's door load the root file: from its path, with nothing of ours importable."""
    link = tmp_path / "sd-webui-keepers"
    link.symlink_to(ROOT, target_is_directory=True)
    code = (
        "import importlib.util, sys\n"
        f"name, root = {name!r}, {str(link)!r}\n"
        "if '.' in name:\n"
        "    from types import ModuleType\n"
        "    sys.modules[name.partition('.')[0]] = ModuleType(name.partition('.')[0])\n"
        "spec = importlib.util.spec_from_file_location(name, root + '/__init__.py',\n"
        "                                              submodule_search_locations=[root])\n"
        "sys.modules[name] = module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "assert not [m for m in sys.modules if m.startswith(name + '.')]\n"
        "assert callable(module.comfy_entrypoint) and not hasattr(module, 'NODE_CLASS_MAPPINGS')\n"
        "found = module.score('examples/images/fox.png')\n"
        "assert type(found).__module__ == name + '.library.score', type(found).__module__\n"
        "print(found.outcome)"
    )
    assert run_python(code, path=tmp_path / "empty") == "accept"


def test_the_readme_names_all_of_it() -> None:
    table = re.findall(r"^\| (`.+?`) \|", SECTION, re.MULTILINE)
    named = [name for cell in table for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(named) == sorted(set(keepers.__all__) - {"__version__"})
    used = set(re.findall(r"(?<!-m )\bkeepers\.(\w+)", SECTION))
    assert used <= set(keepers.__all__)
    assert used >= {"score", "Judge", "write_caption"}


def test_the_first_example_of_the_readme_runs_as_it_stands() -> None:
    first = re.findall(r"```python\n(.+?)```", SECTION, re.DOTALL)[0]
    told = run_python(first)
    lines = [line for line in told.splitlines() if line]
    assert lines[0].startswith("accept accept: signals is ok ")
    assert len(lines) == 1 + len(list((ROOT / "examples" / "images").iterdir()))


def test_the_other_examples_are_python() -> None:
    blocks = re.findall(r"```python\n(.+?)```", SECTION, re.DOTALL)
    assert len(blocks) > 1
    for block in blocks:
        compile(block, "README.md", "exec")
