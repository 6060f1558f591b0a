"""The door of the WebUI extension: the loader's rules, reloading, rivals, and what must not happen."""

from __future__ import annotations

import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from keepers.tests.extension.webui_stub import ROOT, stubbed

EXPECTED = {"ui_settings": 1, "before_ui": 1, "before_image_saved": 1, "image_saved": 1, "app_started": 1}


def callbacks() -> dict[str, int]:
    from modules import script_callbacks

    return {name: len(found) for name, found in script_callbacks.callback_map.items()}


@pytest.mark.parametrize("stays", [True, False])
def test_the_host_finds_exactly_our_two_classes(stays: bool) -> None:
    with stubbed(stays_on_path=stays):
        from modules import scripts

        assert [d.script_class.__name__ for d in scripts.scripts_data] == ["KeepersScript"]
        assert [d.script_class.__name__ for d in scripts.postprocessing_scripts_data] == ["KeepersExtras"]
        assert callbacks() == EXPECTED


def test_reload_ui_registers_again_and_only_once() -> None:
    with stubbed():
        from modules import scripts

        for _ in range(2):
            scripts.load_scripts(ROOT, stays_on_path=True)
            assert callbacks() == EXPECTED


def test_a_rival_package_called_models_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("models", "core", "nodes", "extension"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise RuntimeError('the rival was imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with stubbed():
        assert callbacks() == EXPECTED


def test_our_folder_on_the_path_hides_nobodys_package(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "__init__.py").write_text("thing = 7\n")
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT)!r}]; sys.path.append({str(tmp_path)!r})\n"
        "import models\nprint(models.thing)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.strip() == "7", done.stderr


def test_the_door_makes_the_package_itself(tmp_path: Path) -> None:
    """In a process where nobody installed Keepers, from a folder with another name."""
    link = tmp_path / "sd-webui-some-name"
    link.symlink_to(ROOT, target_is_directory=True)
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'tests' / 'stubs')!r})\n"
        "from pathlib import Path\n"
        "from modules import scripts\n"
        f"scripts.load_scripts(Path({str(link)!r}), stays_on_path=False)\n"
        "import keepers, keepers.extension.script as script\n"
        "print(len(scripts.scripts_data), script.__name__)\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.split() == ["1", "keepers.extension.script"], done.stderr


def test_loading_reaches_for_nothing() -> None:
    code = (
        "import sys, torch\n"  # every host has it loaded by then
        "events = []\n"
        "watched = ('socket.connect', 'subprocess.Popen', 'os.mkdir', 'os.system', 'pickle.find_class')\n"
        "sys.addaudithook(lambda event, args: events.append(event) if event in watched else None)\n"
        f"sys.path.insert(0, {str(ROOT / 'tests' / 'stubs')!r})\n"
        "from pathlib import Path\n"
        "from modules import scripts\n"
        f"scripts.load_scripts(Path({str(ROOT)!r}), stays_on_path=False)\n"
        "print(events, [name for name in ('timm', 'torchvision', 'huggingface_hub') if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[] []", done.stderr + done.stdout


def launcher(skip: bool, ran: list[str]) -> ModuleType:
    module = ModuleType("launch")
    module.args = SimpleNamespace(skip_install=skip)  # pyright: ignore[reportAttributeAccessIssue]
    module.run_pip = lambda command, _: ran.append(command)  # pyright: ignore[reportAttributeAccessIssue]
    return module


@pytest.mark.parametrize(
    ("skip", "there", "expected"),
    [(False, False, ["install --no-deps timm"]), (False, True, []), (True, False, [])],
)
def test_install_adds_at_most_timm(
    monkeypatch: pytest.MonkeyPatch, skip: bool, there: bool, expected: list[str]
) -> None:
    ran: list[str] = []
    monkeypatch.setitem(sys.modules, "launch", launcher(skip, ran))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: object() if there else None)
    runpy.run_path(str(ROOT / "install.py"))
    assert ran == expected


def test_install_does_nothing_under_comfyui(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "launch", None)  # importing it fails
    runpy.run_path(str(ROOT / "install.py"))


def test_a_host_that_takes_the_files_name_is_told_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """As A1111 since 1.9: else it reads the source of everything on the stack to find out who calls."""
    with stubbed():
        from modules import script_callbacks, scripts

        added: list[tuple[str, str]] = []

        def add_callback(
            callbacks: list[object], fun: object, *, category: str = "", filename: str | None = None
        ) -> None:
            assert filename is not None
            callbacks.append(fun)
            added.append((category, Path(filename).name))

        lists = {f"callbacks_{name}": list[object]() for name in EXPECTED}
        monkeypatch.setattr(script_callbacks, "callback_map", lists)
        monkeypatch.setattr(script_callbacks, "add_callback", add_callback, raising=False)
        scripts.load_scripts(ROOT, stays_on_path=True)
        assert added == [(name, "keepers.py") for name in EXPECTED]
        assert all(len(found) == 1 for found in lists.values())
