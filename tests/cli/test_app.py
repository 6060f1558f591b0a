"""The list of commands, their help, how fast they start, and the options that several of them share."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.cli.commands import COMMANDS, Listed, loaded
from keepers.cli.machine import Machine
from keepers.cli.options import Fields, Group, Setting, examples_of, with_options

CLI = Path(__file__).parents[2] / "cli"
ROOT = CLI.parent
HEAVY = ("torch", "timm", "torchvision", "ray", "pyarrow")


@pytest.mark.parametrize("name", COMMANDS)
def test_the_static_help_is_the_first_line_of_the_docstring(name: str) -> None:
    text = inspect.getdoc(COMMANDS[name].load()) or ""
    assert COMMANDS[name].help == text.split("\n")[0]


def test_every_module_of_a_command_is_in_the_table() -> None:
    """A function is a command where a module's first line names it: "`keepers scan`: ..."."""
    named = set[str]()
    for path in sorted(CLI.glob("*/*.py")):
        first = path.read_text(encoding="utf-8").split("\n")[0]
        named |= set(re.findall(r"`keepers ([a-z]+)", first.partition(":")[0]))
    assert named == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_panels_and_examples_that_parse(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0, done.output
    assert "Examples" in done.output
    lines = examples_of(COMMANDS[name].load())
    assert 2 <= len(lines) <= 3
    command = loaded(name)
    for line in lines:
        _, words = split_variables(line)
        assert words[:2] == ["keepers", name], line
        command.make_context(name, words[2:])  # raises where an option is unknown or a value makes no sense


def split_variables(line: str) -> tuple[list[str], list[str]]:
    words = shlex.split(line)
    start = next(place for place, word in enumerate(words) if "=" not in word)
    return words[:start], words[start:]


def test_scan_has_its_panels() -> None:
    output = CliRunner().invoke(app, ["scan", "--help"]).output
    for panel in ("What to scan", "Gate", "Output", "Sorting", "Store", "Machine", "Ray"):
        assert f"╭─ {panel}" in output


def test_the_list_of_commands_names_all_and_ends_with_exit_codes() -> None:
    done = CliRunner().invoke(app, [])
    assert all(re.search(rf"^│ {name} ", done.output, re.MULTILINE) for name in COMMANDS)
    assert "Exit codes" in done.output


def test_an_unknown_command_gets_close_names() -> None:
    done = CliRunner().invoke(app, ["scn"])
    assert done.exit_code == 2
    assert "'scan'" in done.output


def keepers(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    code = (
        "import sys\n"
        "sys.argv[0] = 'keepers'\n"
        "from keepers.__main__ import main\n"
        "try:\n"
        "    main()\n"
        "finally:\n"
        "    print('\\nLOADED', *sorted(name for name in sys.modules if '.' not in name), file=sys.stderr)\n"
    )
    paths = {"PYTHONPATH": str(ROOT / ".venv" / "src"), "PATH": ""}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**paths, **environment}, timeout=120)


def modules(done: subprocess.CompletedProcess[str]) -> set[str]:
    return set(done.stderr.rpartition("LOADED")[2].split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_help_and_version_import_no_command(arguments: list[str]) -> None:
    done = keepers(*arguments)
    assert done.returncode == 0, done.stderr
    assert not modules(done) & {*HEAVY, "numpy", "PIL", "sqlite3"}


@pytest.mark.parametrize("arguments", [["models"], ["models", "faramir"], ["config"], ["scan", "--help"]])
def test_what_needs_no_net_imports_no_torch(arguments: list[str]) -> None:
    done = keepers(*arguments)
    assert done.returncode == 0, done.stderr
    assert not modules(done) & set(HEAVY)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("keepers sc", "scan"),
        ("keepers scan --preset fa", "faramir"),
        ("keepers fetch cohe", "coherence"),
        ("keepers evaluate --model cohe", "coherence"),
        ("keepers prompts --model real", "realism"),
    ],
)
def test_a_shell_completes_commands_presets_and_models(words: str, offered: str) -> None:
    variables = {"_KEEPERS_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
    done = keepers(**variables)
    assert offered in done.stdout
    assert not modules(done) & set(HEAVY)


# --- options as one value --------------------------------------------------------------------------------------------


def call(function: Any, *arguments: str) -> Any:
    alone = typer.Typer()
    alone.command()(with_options(function))
    return CliRunner().invoke(alone, list(arguments), catch_exceptions=False)


def test_a_group_becomes_options_and_one_value() -> None:
    found: list[Machine] = []

    def command(*, machine: Machine) -> None:
        found.append(machine)

    call(command, "--device", "cpu", "--batch", "3", "--weights", "a=b", "--models", "here")
    assert found == [Machine(device="cpu", batch=3, weights=["a=b"], folders=[Path("here")])]
    assert found[0].explicit == {"a": Path("b")}


def test_a_command_takes_some_fields_and_sets_others() -> None:
    found: list[Machine] = []

    def command(*, machine: Annotated[Machine, Fields("device", "precision", precision="exact", batch=1)]) -> None:
        found.append(machine)

    call(command)
    assert found == [Machine(precision="exact", batch=1)]
    assert call(command, "--batch", "2").exit_code == 2


def test_a_commands_own_default_goes_before_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPERS_PRECISION", "fast")
    monkeypatch.setenv("KEEPERS_DEVICE", "meta")
    found: list[Machine] = []

    def exact(*, machine: Annotated[Machine, Fields("device", "precision", precision="exact")]) -> None:
        found.append(machine)

    def usual(*, machine: Machine) -> None:
        found.append(machine)

    call(exact)
    call(usual)
    call(usual, "--precision", "auto")
    assert [(one.device, one.precision) for one in found] == [("meta", "exact"), ("meta", "fast"), ("meta", "auto")]


def test_what_is_no_group_is_an_option_by_itself() -> None:
    @dataclass
    class Plain:
        one: int = 0

    assert Group.of(int) is None
    assert Group.of(Annotated[int, Setting("batch")]) is None
    group = Group.of(Plain)
    assert group is not None
    assert list(group.options) == ["one"]


def test_a_listed_command_is_loaded_by_its_name() -> None:
    assert Listed("scan.undo", "undo", "", "").load().__name__ == "undo"
