"""The header of a safetensors file is read without its tensors, once, and never trusted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from keepers.core.errors import WrongWeights
from keepers.core.weights.formats import safetensors_header
from keepers.core.weights.formats.safetensors_header import MOST_HEADER, read_metadata
from keepers.models import provenance
from keepers.models.realism import format as realism_format


def write(path: Path, metadata: dict[str, str]) -> Path:
    save_file({"weight": torch.ones(2)}, path, metadata)
    return path


def headed(path: Path, header: object, length: int | None = None) -> Path:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(raw) if length is None else length).to_bytes(8, "little") + raw)
    return path


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The length of every header that was really read."""
    lengths: list[int] = []
    parse: Callable[[bytes], Any] = safetensors_header.parse_header

    def counted(raw: bytes) -> Any:
        lengths.append(len(raw))
        return parse(raw)

    monkeypatch.setattr(safetensors_header, "parse_header", counted)
    return lengths


def test_metadata_is_read_once_while_the_file_stays(parsed: list[int], tmp_path: Path) -> None:
    path = write(tmp_path / "a.safetensors", {"said": "first", "more": "ü"})
    for _ in range(3):
        assert dict(read_metadata(path, "a net")) == {"said": "first", "more": "ü"}
    assert len(parsed) == 1
    write(path, {"said": "second"})
    os.utime(path, ns=(1, 1))  # coarse clocks: the new file has another time for certain
    assert dict(read_metadata(path, "a net")) == {"said": "second"}
    assert len(parsed) == 2


def test_what_is_remembered_cannot_be_changed(tmp_path: Path) -> None:
    found = read_metadata(write(tmp_path / "a.safetensors", {"said": "this"}), "a net")
    with pytest.raises(TypeError):
        found["said"] = "that"  # pyright: ignore[reportIndexIssue] (that is the point)


def test_a_file_that_says_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"weight": torch.ones(2)}, path)
    assert dict(read_metadata(path, "a net")) == {}
    assert dict(read_metadata(headed(tmp_path / "b", {"__metadata__": {"a": 1, "b": "two"}}), "a net")) == {"b": "two"}


BROKEN: dict[str, tuple[object, int | None, str]] = {
    "no json": (b"{oops", None, "its header is damaged"),
    "no text": (b"\xff\xfe{}", None, "its header is damaged"),
    "deep": (b"[" * 100_000, None, "its header is damaged"),
    "twice": (b'{"a": {}, "a": {}}', None, "the same name twice"),
    "not a number": (b'{"a": NaN}', None, "NaN is not a number"),
    "a list": ([1], None, "not a table of tensors"),
    "metadata is a list": ({"__metadata__": [1]}, None, "its metadata is not a table"),
    "longer than the file": (b"{}", 1000, "claims 1,000 bytes, in a file of 10"),
    "too long": (b" " * (MOST_HEADER + 1), None, "its header claims"),
    "empty": (b"", 0, "its header is damaged"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize(
    ("read", "what"),
    [(realism_format.FORMAT.read_file, "a realism detector"), (provenance.FORMAT.read_file, "a learned taste")],
)
def test_a_broken_header_is_one_clear_error(
    read: Callable[[Path], object], what: str, kind: str, tmp_path: Path
) -> None:
    header, length, words = BROKEN[kind]
    path = headed(tmp_path / "x.safetensors", header, length)
    for _ in range(2):  # an error is not remembered as if it were an answer
        with pytest.raises(WrongWeights) as caught:
            read(path)
        assert words in str(caught.value)
        assert f"x.safetensors does not hold the weights of {what}; it is not a safetensors file" in str(caught.value)


def test_a_file_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(WrongWeights, match="a net; it cannot be read"):
        read_metadata(tmp_path / "gone.safetensors", "a net")
    with pytest.raises(WrongWeights, match="a net; it is not a regular file"):
        read_metadata(tmp_path, "a net")
    (tmp_path / "short").write_bytes(b"\x01")
    with pytest.raises(WrongWeights, match="a net; it is not a safetensors file"):
        read_metadata(tmp_path / "short", "a net")


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(WrongWeights, match="not a regular file"):
        read_metadata(tmp_path / "pipe.safetensors", "a net")


def test_reading_headers_needs_no_torch() -> None:
    code = "import sys, keepers.models.realism.format, keepers.models.provenance; print('torch' in sys.modules)"
    root = Path(__file__).parents[4]
    environment = {**os.environ, "PYTHONPATH": str(root / ".venv" / "src")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.strip() == "False"
