"""Weight files are found where they are, and errors say exactly what is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from keepers.core.errors import CorruptWeights, KeepersError, MissingWeights
from keepers.core.places import trained_folder
from keepers.core.weights import store as module
from keepers.core.weights.checksum import BLOCK, WHOLE, fingerprint
from keepers.core.weights.hub import address, offline, token_for
from keepers.core.weights.store import WeightStore, default_folders, verify
from keepers.core.weights.weight_file import WeightFile
from keepers.tests.core.weights.test_download import Server, serve
from keepers.tests.writers import write_safetensors

FILE = WeightFile(
    "net.safetensors", repo="owner/name", path="sub/net.safetensors", licence="MIT", size=87_400_000, folder="coherence"
)


@pytest.fixture(autouse=True)
def no_surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_CACHE", "HF_HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "KEEPERS_MODELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "https://huggingface.co")
    monkeypatch.setenv("no_proxy", "*")


def put(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def into_cache(cache: Path, file: WeightFile, revision: str = "main") -> Path:
    """The hub's own layout: refs name a commit, snapshots link to blobs."""
    repo = cache / ("models--" + file.repo.replace("/", "--"))
    put(repo / "refs" / revision, b"abc123")
    put(repo / "blobs" / "0", b"blob")
    link = repo / "snapshots" / "abc123" / (file.path or file.name)
    link.parent.mkdir(parents=True)
    link.symlink_to(repo / "blobs" / "0")
    return link


# --- where files are found -------------------------------------------------------------------------------------------


def test_folders_are_looked_through_in_order(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    store = WeightStore([first, second])
    assert store.find(FILE) is None
    flat = put(second / "net.safetensors")
    assert store.find(FILE) == flat
    own = put(second / "coherence" / "net.safetensors")
    assert store.find(FILE) == own
    assert store.find(FILE) == WeightStore([second]).path(FILE)
    assert put(first / "net.safetensors") == store.find(FILE)
    assert store.target(FILE) == first / "coherence" / "net.safetensors"


def test_a_folder_with_the_name_of_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "net.safetensors").mkdir()
    assert WeightStore([tmp_path]).find(FILE) is None


def test_explicit_path_counts_alone(tmp_path: Path) -> None:
    put(tmp_path / "net.safetensors")
    mine = tmp_path / "elsewhere" / "mine.pth"
    store = WeightStore([tmp_path], explicit={"net.safetensors": mine}, download=True)
    assert store.find(FILE) is None
    with pytest.raises(MissingWeights, match=r"mine\.pth, given for net\.safetensors, does not exist"):
        store.path(FILE)
    assert store.find(FILE) is None
    put(mine)
    assert store.path(FILE) == mine


def test_alternatives_come_after_the_file_itself(tmp_path: Path) -> None:
    other = WeightFile("net.pth", folder="coherence")
    file = WeightFile("net.safetensors", folder="coherence", alternatives=(other,))
    store = WeightStore([tmp_path])
    old = put(tmp_path / "net.pth")
    assert store.find(file) == old
    new = put(tmp_path / "coherence" / "net.safetensors")
    assert store.find(file) == new


def test_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = WeightStore([tmp_path / "models"])
    link = into_cache(tmp_path / "hub", FILE)
    assert store.find(FILE) == link
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    late = into_cache(tmp_path / "home" / "hub", FILE)
    assert store.find(FILE) == late
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    latest = into_cache(tmp_path / "cache", FILE)
    assert store.find(FILE) == latest
    in_folder = put(tmp_path / "models" / "net.safetensors")
    assert store.find(FILE) == in_folder


def test_default_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    own = (tmp_path / "cache" / "keepers" / "models", trained_folder())
    assert default_folders() == own
    monkeypatch.setenv("KEEPERS_MODELS", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert default_folders() == (tmp_path / "a", tmp_path / "b", *own)
    assert WeightStore().target(FILE) == tmp_path / "a" / "coherence" / "net.safetensors"


# --- what is missing -------------------------------------------------------------------------------------------------


def test_message_says_what_from_where_to_where_and_how(tmp_path: Path) -> None:
    with pytest.raises(MissingWeights) as caught:
        WeightStore([tmp_path]).path(FILE, model="coherence")
    assert str(caught.value) == (
        "net.safetensors (87.4 MB, licence MIT) is not on this machine. "
        "Get it from https://huggingface.co/owner/name/resolve/main/sub/net.safetensors "
        f"and put it into {tmp_path / 'coherence'}, or run: keepers fetch coherence"
    )


def test_message_names_the_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/")
    with pytest.raises(
        MissingWeights, match=r"https://mirror\.example/owner/name/resolve/main/sub/net\.safetensors and put"
    ):
        WeightStore([tmp_path]).path(FILE)


def test_file_that_only_a_person_can_get(tmp_path: Path) -> None:
    file = WeightFile("heads.zip", page="https://drive.example/view", licence="MIT")
    with pytest.raises(MissingWeights) as caught:
        WeightStore([tmp_path], download=True).path(file)
    assert str(caught.value) == (
        "heads.zip (size unknown, licence MIT) is not on this machine. "
        f"Get it from https://drive.example/view and put it into {tmp_path}."
    )


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_is_never_broken(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = Server()
    running = serve(plan)
    monkeypatch.setenv("HF_ENDPOINT", plan.url)
    monkeypatch.setenv(variable, "1")
    assert offline()
    with pytest.raises(MissingWeights, match="HF_HUB_OFFLINE forbids a download"):
        WeightStore([tmp_path], download=True).path(FILE)
    monkeypatch.delenv(variable)
    assert not offline()
    with pytest.raises(MissingWeights):
        WeightStore([tmp_path], download=False).path(FILE)
    running.shutdown()
    running.server_close()
    assert plan.requests == []


# --- downloads -------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch):
    plan = Server()
    running = serve(plan)
    monkeypatch.setenv("HF_ENDPOINT", plan.url)
    yield plan
    running.shutdown()
    running.server_close()


def test_download_from_the_mirror(mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    mirror.body = write_safetensors(tmp_path / "w", {"a": torch.arange(3.0)}, {"k": "v"}).read_bytes()
    file = WeightFile("net.safetensors", repo="owner/name", revision="v1", size=len(mirror.body), folder="f")
    seen: list[Any] = []
    store = WeightStore([tmp_path / "models"], download=True, progress=lambda *step: seen.append(step))
    assert store.path(file) == tmp_path / "models" / "f" / "net.safetensors"
    assert store.tensors(file)["a"].tolist() == [0, 1, 2]
    assert store.metadata(file) == {"k": "v"}
    assert mirror.requests[0]["path"] == "/owner/name/resolve/v1/net.safetensors"
    assert mirror.requests[0]["authorization"] == "Bearer hf_secret"
    assert len(mirror.requests) == 1
    assert seen[-1] == (len(mirror.body), len(mirror.body), "net.safetensors")


def test_token_stays_with_the_hub(mirror: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    other = Server()
    running = serve(other)
    WeightStore([tmp_path], download=True).path(WeightFile("a.bin", url=other.url + "/a.bin"))
    running.shutdown()
    running.server_close()
    assert "authorization" not in other.requests[0]
    assert token_for("https://github.com/a/b") == ""
    assert token_for(address(FILE)) == "hf_secret"


def test_checks_of_the_published_file(mirror: Server, tmp_path: Path) -> None:
    file = WeightFile("net.safetensors", repo="owner/name", sha256="0" * 64)
    with pytest.raises(CorruptWeights, match="sha256"):
        WeightStore([tmp_path], download=True).path(file)
    assert not list(tmp_path.glob("net*"))


# --- files that are there --------------------------------------------------------------------------------------------


def test_damaged_file_names_both_sizes(tmp_path: Path) -> None:
    whole = write_safetensors(tmp_path / "net.safetensors", {"a": torch.ones(100)})
    file = WeightFile("net.safetensors", size=whole.stat().st_size)
    whole.write_bytes(whole.read_bytes()[:-10])
    with pytest.raises(CorruptWeights) as caught:
        WeightStore([tmp_path]).tensors(file)
    size = f"{file.size:,}"
    assert f"({file.size - 10:,} bytes)" in str(caught.value)
    assert str(caught.value).endswith(f"Delete it and get it again. The published file has {size} bytes.")


def test_verify(tmp_path: Path) -> None:
    path = put(tmp_path / "net.safetensors", b"hello\n")
    sha256 = hashlib.sha256(b"hello\n").hexdigest()
    blob = "ce013625030ba8dba906f756967f9e9ca394464a"  # echo hello | git hash-object --stdin
    assert verify(path, WeightFile("net.safetensors", sha256=sha256)) == "sha256"
    assert verify(path, WeightFile("net.safetensors", git_sha1=blob)) == "git"
    assert verify(path, WeightFile("net.safetensors", size=6)) == "size"
    assert verify(path, WeightFile("net.safetensors")) == ""
    assert WeightStore([tmp_path]).verify(WeightFile("net.safetensors", size=6)) == "size"
    for wrong in (WeightFile("n", sha256="0" * 64), WeightFile("n", git_sha1="0" * 40)):
        with pytest.raises(CorruptWeights, match="is not the published file: its"):
            verify(path, wrong)
    with pytest.raises(CorruptWeights, match="it has 6 bytes, the published one has 7"):
        verify(path, WeightFile("net.safetensors", size=7))
    with pytest.raises(MissingWeights):
        WeightStore([tmp_path]).verify(WeightFile("other"))


def test_fingerprint(tmp_path: Path) -> None:
    path = put(tmp_path / "small", b"a" * 1000)
    before = fingerprint(path)
    assert before == WeightStore([tmp_path]).fingerprint(path)
    path.write_bytes(b"a" * 999 + b"b")
    assert fingerprint(path) != before
    with path.open("wb") as file:
        file.truncate(WHOLE + 5)
    large = fingerprint(path)
    for at in (0, WHOLE + 4, (WHOLE + 5 - BLOCK) // 255):  # the first byte, the last one, the second block
        with path.open("r+b") as file:
            file.seek(at)
            file.write(b"x")
        changed = fingerprint(path)
        assert changed != large
        large = changed


def test_names_that_leave_their_folder(tmp_path: Path) -> None:
    for file in (
        WeightFile("../a"),
        WeightFile("a", folder="../b"),
        WeightFile("/etc/passwd"),
        WeightFile("a", folder="/etc"),
    ):
        with pytest.raises(KeepersError, match="does not stay inside"):
            WeightStore([tmp_path]).find(file)
        with pytest.raises(KeepersError, match="does not stay inside"):
            WeightStore([tmp_path]).target(file)


def test_importing_and_looking_needs_neither_network_nor_torch_nor_the_hub_library(tmp_path: Path) -> None:
    script = f"""
import sys, socket
def refuse(*a, **k): raise AssertionError("network")
socket.socket.connect = refuse
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
assert "huggingface_hub" not in sys.modules
from pathlib import Path
Path({str(tmp_path)!r}, "a.pth").write_bytes(b"x")
assert WeightStore([Path({str(tmp_path)!r})], download=True).find(WeightFile("a.pth", repo="o/n"))
assert not {{"huggingface_hub", "torch", "timm"}} & set(sys.modules)
"""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3] / ".venv" / "src")}
    subprocess.run([sys.executable, "-c", script], check=True, env=env)


def test_size_in_words() -> None:
    shown = module._size  # pyright: ignore[reportPrivateUsage]
    assert [shown(n) for n in (0, 2_644_834, 1_710_000_000)] == ["size unknown", "2.6 MB", "1.71 GB"]
