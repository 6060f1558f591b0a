"""Defaults that are set once: the file, the environment, what wins, what is wrong, and how it is shown."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.cli.gates import GateOptions
from keepers.cli.machine import Machine
from keepers.core.errors import SettingsError, UnknownName
from keepers.core.settings import LARGEST, Settings, read_settings, settings_file
from keepers.core.weights.store import WeightStore


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("DB", "DEVICE", "PRECISION", "PRESET", "BATCH"):
        monkeypatch.delenv(f"KEEPERS_{key}", raising=False)


@pytest.fixture
def file(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("APPDATA", str(own_home))
    path = settings_file()
    path.parent.mkdir(parents=True)
    return path


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner(env={"COLUMNS": "300"}).invoke(app, [str(one) for one in arguments])
    return done.exit_code, done.output


def test_without_a_file_nothing_is_set() -> None:
    assert read_settings() == Settings()


def test_the_file_is_where_the_system_keeps_such_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPDATA", str(tmp_path / "roaming"))
    folder = "roaming" if sys.platform == "win32" else "xdg"
    assert settings_file() == tmp_path / folder / "keepers" / "config.toml"
    if sys.platform != "win32":
        monkeypatch.delenv("XDG_CONFIG_HOME")
        monkeypatch.setenv("HOME", str(tmp_path))
        assert settings_file() == tmp_path / ".config" / "keepers" / "config.toml"


def test_all_settings_of_a_file(file: Path) -> None:
    file.write_text(
        'models = ["/a", "b"]\ndb = "~/my.db"\ndevice = "cuda:1"\nprecision = "exact"\npreset = "strict"\nbatch = 3\n',
        "utf-8-sig",
    )
    found = read_settings()
    assert found.models == (Path("/a"), file.parent / "b")
    assert found.db == Path("~/my.db").expanduser()
    assert (found.device, found.precision, found.preset, found.batch) == ("cuda:1", "exact", "strict", 3)
    assert set(found.sources.values()) == {str(file)}


def test_the_environment_goes_before_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('models = "/file"\nbatch = 3\ndevice = "cpu"\n', "utf-8")
    monkeypatch.setenv("KEEPERS_BATCH", "5")
    monkeypatch.setenv("KEEPERS_MODELS", os.pathsep.join(["/one", "/two"]))
    monkeypatch.setenv("KEEPERS_DEVICE", " ")
    found = read_settings()
    assert (found.batch, found.models, found.device) == (5, (Path("/one"), Path("/two")), "cpu")
    assert found.sources == {"models": "KEEPERS_MODELS", "batch": "KEEPERS_BATCH", "device": str(file)}


def test_model_folders_stand_between_the_command_line_and_the_default_ones(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('models = ["/file"]\n', "utf-8")
    usual = tuple(dict.fromkeys(WeightStore().folders))
    assert Machine(folders=[Path("/given")]).store().folders == (Path("/given"), Path("/file"), *usual)
    monkeypatch.setenv("KEEPERS_MODELS", "/one")
    assert Machine().store().folders == (Path("/one"), *usual)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("batch = 'many'", "batch is 'many'; it must be a whole number from 1 to 512"),
        ("batch = true", "batch is True"),
        ("batch = 0", "batch is 0"),
        ("batch = 2.0", "batch is 2.0"),
        ("precision = 'half'", "precision is 'half'; it must be one of auto, exact, fast"),
        ("device = 1", "device is 1; it must be a text"),
        ("device = ''", "device is ''"),
        ("preset = ['a']", "preset is ['a']"),
        ("db = 3", "db is 3; it must be the path of a file"),
        ('db = "a\\u0000b"', "db is"),
        ("db = '~nobody-of-this-name/x'", "your own folder"),
        ("models = [1]", "models is [1]; it must be the path of a folder, or a list of such paths"),
        ("models = ['']", "models is ['']"),
        ("models = {}", "models is {}"),
    ],
)
def test_a_wrong_value_names_file_and_key(file: Path, text: str, said: str) -> None:
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as error:
        read_settings()
    assert said in str(error.value)
    assert str(file) in str(error.value)


def test_a_wrong_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPERS_BATCH", "-4")
    with pytest.raises(SettingsError, match="KEEPERS_BATCH is '-4'; it must be a whole number"):
        read_settings()


def test_a_wrong_key_gets_close_names(file: Path) -> None:
    file.write_text("devise = 'cpu'", "utf-8")
    with pytest.raises(UnknownName, match=r"no setting 'devise' in .*config\.toml.*Did you mean 'device'"):
        read_settings()


def test_broken_toml_names_the_line(file: Path) -> None:
    file.write_text("batch = 3\ndevice = = 'cpu'\n", "utf-8")
    with pytest.raises(SettingsError, match=r"config\.toml cannot be read: .*line 2"):
        read_settings()


def test_files_that_are_no_settings(file: Path) -> None:
    file.write_bytes(b"")
    assert read_settings() == Settings()
    file.write_bytes(b"device = '\xff'")
    with pytest.raises(SettingsError, match="not UTF-8"):
        read_settings()
    file.write_bytes(b"#" * LARGEST + b"\n")
    with pytest.raises(SettingsError, match="larger than 1 MiB"):
        read_settings()
    file.write_bytes(b"#" * (LARGEST - 1) + b"\n")
    assert read_settings() == Settings()
    file.write_text("models = " + "[" * 100_000, "utf-8")
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings()
    file.unlink()
    file.mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        read_settings()


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all")
def test_a_file_without_permission(file: Path) -> None:
    file.write_text("batch = 3", "utf-8")
    file.chmod(0)
    with pytest.raises(SettingsError, match="cannot be read: Permission denied"):
        read_settings()


# --- commands ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    Image.effect_noise((256, 256), 60).convert("RGB").save(folder / "a.png")
    return folder


def test_config_shows_values_and_where_they_come_from(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('device = "cpu"\n', "utf-8")
    monkeypatch.setenv("KEEPERS_PRESET", "strict")
    code, output = run("config")
    assert code == 0
    assert str(file) in output
    lines = [line.split() for line in output.splitlines() if "│" in line]
    values = {line[1]: line[3:-1] for line in lines if len(line) > 5}
    assert values["device"] == ["cpu", "│", str(file), "│", "KEEPERS_DEVICE"]
    assert values["preset"] == ["strict", "│", "KEEPERS_PRESET", "│", "KEEPERS_PRESET"]
    assert values["batch"] == ["8", "│", "built", "in", "│", "KEEPERS_BATCH"]


def test_config_as_json(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEEPERS_BATCH", "2")
    done = CliRunner().invoke(app, ["config", "--json"])
    found = json.loads(done.stdout)
    assert (found["file"], found["exists"]) == (str(file), False)
    assert found["settings"]["batch"] == {"value": 2, "from": "KEEPERS_BATCH"}
    assert found["settings"]["device"] == {"value": "auto", "from": "built in"}
    assert list(found["settings"]) == ["models", "db", "device", "precision", "preset", "batch"]


@pytest.mark.parametrize("command", [["config"], ["models"]])
def test_a_broken_file_is_one_line_and_exit_code_1(file: Path, command: list[str]) -> None:
    file.write_text("bach = 3", "utf-8")
    code, output = run(*command)
    assert code == 1
    assert "There is no setting 'bach'" in output
    assert "Did you mean 'batch'?" in output
    assert run(command[0], "--help")[0] == 0


def test_db_and_preset_of_the_settings_are_used(file: Path, pictures: Path, tmp_path: Path) -> None:
    file.write_text(f"db = {json.dumps(str(tmp_path / 'mine.db'))}\npreset = 'flag'\n", "utf-8")
    report = tmp_path / "out.json"
    assert run("scan", pictures, "--model", "signals", "--json", report)[0] == 0  # a preset that is set is not given
    assert (tmp_path / "mine.db").is_file()
    assert run("scan", pictures, "--gate", 'reject: signals.label != "duplicate"', "--json", report)[0] == 0
    assert json.loads(report.read_text("utf-8"))[0]["verdict"] == "reject"
    code, output = run("scan", pictures, "--db", tmp_path / "other.db")
    assert code == 1
    assert "coherence" in output  # a model of the preset that is set, and whose file is not here
    assert run("scan", pictures, "--db", tmp_path / "other.db", "--allow-missing")[0] == 0  # signals decides
    assert (tmp_path / "other.db").is_file()


def test_a_preset_of_the_settings_is_the_default_gate_only(file: Path) -> None:
    file.write_text("preset = 'strict'\n", "utf-8")
    store = WeightStore([])
    assert "faramir" in GateOptions().chosen(store).models
    assert GateOptions().named(store) is None
    assert GateOptions(preset="signals").chosen(store).models == ("signals",)
    assert GateOptions(model=["signals"]).chosen(store).models == ("signals",)
    file.write_text("preset = 'stric'\n", "utf-8")
    with pytest.raises(UnknownName, match=r"no preset 'stric' in .*config\.toml.*Did you mean 'strict'"):
        GateOptions().chosen(store)


def test_a_store_that_is_set_does_not_trouble_a_cluster_scan(file: Path, pictures: Path) -> None:
    """`--db` is refused there; a store in the settings is not."""
    file.write_text("db = '/nowhere/x.db'\n", "utf-8")
    code, output = run("scan", pictures, "--engine", "ray")
    assert code == 1
    assert "--out" in output
    assert "--db" not in output


def test_a_device_that_is_set_does_not_trouble_a_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """`--device cuda` needs --gpus there; a device in the settings does not."""
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("KEEPERS_DEVICE", "cuda")
    code, output = run("plan", "-n", 10, "--cpus", 1, "--pass", "nothing=1")
    assert code == 1
    assert "--pass: the gate asks no model" in output
    assert "measures nets on a GPU" in run("plan", "-n", 10, "--cpus", 1, "--device", "cuda")[1]


def test_the_command_line_goes_before_all(file: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("device = 'nonsense'\n", "utf-8")
    code, output = run("scan", pictures, "--no-db")
    assert code == 1
    assert "'nonsense' cannot be used" in output
    assert run("scan", pictures, "--no-db", "--device", "cpu")[0] == 0
    monkeypatch.setenv("KEEPERS_DEVICE", "cpu")
    assert run("scan", pictures, "--no-db")[0] == 0
