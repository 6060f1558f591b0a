"""Weight files of every kind, whole, damaged and hostile."""

from __future__ import annotations

import json
import os
import pickle
import random
import struct
import subprocess
import sys
import types
import zipfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from keepers.core.errors import CorruptWeights, UnsafeWeights
from keepers.core.weights.formats import inert_pickle
from keepers.core.weights.formats.inert_pickle import Made, Name, read_pickle
from keepers.core.weights.formats.read import read_tensors, require_finite
from keepers.tests.writers import STATE_DICT_WRITERS, write_legacy, write_safetensors, write_script, write_zip

WRITERS = pytest.mark.parametrize("kind", STATE_DICT_WRITERS)


def tensors_of_every_kind() -> dict[str, Tensor]:
    base = torch.arange(24, dtype=torch.float32)
    return {
        "float": base.view(2, 3, 4).clone(),
        "half": base.half(),
        "brain": base.bfloat16().view(4, 6),
        "double": base.double() / 3,
        "whole": torch.tensor([-(2**60), 5]),
        "small": torch.tensor([[1, -2]], dtype=torch.int8),
        "yes": torch.tensor([True, False, True]),
        "scalar": torch.tensor(2.5),
        "none": torch.empty(0, 7),
    }


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, bias=False)
        self.block = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Linear(4, 2))
        self.register_buffer("kept", torch.arange(3.0))
        self.register_buffer("gone", torch.arange(5.0), persistent=False)
        self.register_parameter("absent", None)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(self.stem(x))


def same(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> bool:
    assert list(found) == list(wanted)
    return all(
        found[name].dtype == tensor.dtype and found[name].shape == tensor.shape and torch.equal(found[name], tensor)
        for name, tensor in wanted.items()
    )


# --- whole files ---------------------------------------------------------------------------------------------------


@WRITERS
def test_state_dict_comes_back_equal(kind: str, tmp_path: Path) -> None:
    wanted = tensors_of_every_kind()
    found = read_tensors(STATE_DICT_WRITERS[kind](tmp_path / "any.name", wanted))
    assert len(found) == len(wanted)
    assert set(found) == set(wanted)
    assert same({name: found[name] for name in wanted}, wanted)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_views_of_one_storage_come_back_equal(write: Callable[[Path, Any], Path], tmp_path: Path) -> None:
    base = torch.arange(24.0)
    wanted = {"t": base.view(4, 6).t(), "shifted": base[5:11], "steps": base[1::3], "all": base}
    assert same(read_tensors(write(tmp_path / "views.pth", wanted)), wanted)


@pytest.mark.parametrize("write", [write_zip, write_legacy])
@pytest.mark.parametrize("wrap", ["module", "model", "state_dict", "learn_save"])
def test_modules_and_wrappers_come_back_as_state_dicts(write: Any, wrap: str, tmp_path: Path) -> None:
    net = Net()
    wrapped: dict[str, Any] = {
        "module": net,
        "model": {"epoch": 3, "model": net},
        "state_dict": {"state_dict": net.state_dict(), "args": {"lr": 0.1}},
        "learn_save": {"model": net.state_dict(), "opt": {"state": [{"step": torch.ones(2)}]}},
    }
    assert same(read_tensors(write(tmp_path / "net.pth", wrapped[wrap])), net.state_dict())


def test_script_archive(tmp_path: Path) -> None:
    class Regressor(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Parameter(torch.arange(4.0).view(1, 4))
            self.biases = nn.Parameter(torch.tensor(0.5))
            self.inner = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x) @ self.weights.t()[:2] + self.biases

    module = Regressor()
    found = read_tensors(write_script(tmp_path / "r.pth", module))
    assert same({name: found[name] for name in module.state_dict()}, module.state_dict())


@pytest.fixture
def vanishing():
    """Makes classes in a module that exists while a file is written, and is gone when it is read."""
    made: list[str] = []

    def make(module: str, name: str, *bases: type) -> type:
        for part in (module.rpartition(".")[0], module):
            if part and part not in sys.modules:
                sys.modules[part] = types.ModuleType(part)
                made.append(part)
        cls = type(name, bases, {"__module__": module, "__qualname__": name})
        setattr(sys.modules[module], name, cls)
        return cls

    def gone() -> None:
        for part in made:
            sys.modules.pop(part, None)

    yield make, gone
    gone()


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_learner_whose_classes_are_not_installed(write: Any, vanishing: Any, tmp_path: Path) -> None:
    make, gone = vanishing
    pool = make("trainer_that_is_gone.layers", "AdaptiveConcatPool2d", nn.Module)
    listing = make("trainer_that_is_gone.learner", "L", list)
    learner = make("trainer_that_is_gone.learner", "Learner", object)()
    net = nn.Sequential(nn.Conv2d(3, 4, 3), pool(), nn.Linear(4, 3))
    learner.model, learner.dls, learner.path = net, listing([1, 2]), Path("models")
    path = write(tmp_path / "export.pkl", learner)
    gone()
    assert same(read_tensors(path), net.state_dict())
    assert not [name for name in sys.modules if name.startswith("trainer_that_is_gone")]


def test_class_of_main(tmp_path: Path) -> None:
    pool = type("PoolOfMain", (nn.Module,), {"__module__": "__main__", "__qualname__": "PoolOfMain"})
    sys.modules["__main__"].PoolOfMain = pool  # pyright: ignore[reportAttributeAccessIssue] as a script would
    net = nn.Sequential(pool(), nn.Linear(3, 2))
    path = write_zip(tmp_path / "main.pth", net)
    del sys.modules["__main__"].PoolOfMain  # pyright: ignore[reportAttributeAccessIssue]
    assert same(read_tensors(path), net.state_dict())


def test_metadata_of_safetensors(tmp_path: Path) -> None:
    path = write_safetensors(tmp_path / "a", {"a": torch.ones(2)}, {"classifier.labels": "x y"})
    assert read_tensors(path).metadata == {"classifier.labels": "x y"}


@WRITERS
def test_writing_to_a_tensor_leaves_the_file_alone(kind: str, tmp_path: Path) -> None:
    path = STATE_DICT_WRITERS[kind](tmp_path / "a", {"a": torch.zeros(4)})
    before = path.read_bytes()
    read_tensors(path)["a"].fill_(7)
    assert path.read_bytes() == before


def test_only_what_is_used_is_read(tmp_path: Path) -> None:
    """A tower that a net leaves out costs nothing: its tensors are places in the file, not memory."""
    path = write_safetensors(tmp_path / "a", {"used": torch.ones(2), "other": torch.zeros(3)})
    found = read_tensors(path)
    assert "other" in found
    assert found["used"].untyped_storage().nbytes() == 8


def test_big_endian_archive(tmp_path: Path) -> None:
    path = tmp_path / "big.pth"
    values = torch.arange(5, dtype=torch.float32)
    torch.save({"a": values}, tmp_path / "little.pth")
    with zipfile.ZipFile(tmp_path / "little.pth") as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            data = {"byteorder": b"big", "0": values.numpy().astype(">f4").tobytes()}
            new.writestr(info.filename, data.get(info.filename.rpartition("/")[2], old.read(info)))
    assert torch.equal(read_tensors(path)["a"], values)


@pytest.mark.parametrize("kind", ["zip", "legacy"])
def test_saved_on_another_device(kind: str, tmp_path: Path) -> None:
    """A published head was saved from a GPU, in bfloat16."""
    wanted = {"head.weight": torch.arange(6).view(2, 3).bfloat16()}
    path = STATE_DICT_WRITERS[kind](tmp_path / "a.pth", wanted)
    here, there = b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0"
    if kind == "legacy":
        path.write_bytes(path.read_bytes().replace(here, there))
    else:
        with zipfile.ZipFile(path) as old:
            members = {info.filename: old.read(info).replace(here, there) for info in old.infolist()}
        with zipfile.ZipFile(path, "w") as new:
            for name, data in members.items():
                new.writestr(name, data)
    assert there in path.read_bytes()
    assert same(read_tensors(path), wanted)


@WRITERS
def test_loaders_that_hosts_replace_are_not_used(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = STATE_DICT_WRITERS[kind](tmp_path / "a", {"a": torch.ones(2)})

    def replaced(*_: Any, **__: Any) -> None:
        raise AssertionError("a host would rename the file now")

    monkeypatch.setattr(torch, "load", replaced)
    monkeypatch.setattr("safetensors.torch.load_file", replaced)
    monkeypatch.setattr("safetensors.torch.load", replaced)
    assert read_tensors(path)["a"].sum() == 2
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises((CorruptWeights, UnsafeWeights)):
        read_tensors(path)
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_unaligned_tensor(tmp_path: Path) -> None:
    entries = {"a": ("U8", [1], 1), "b": ("F32", [2], 8)}
    path = safetensors(tmp_path, entries, b"\x09" + struct.pack("<2f", 1.5, -2))
    assert read_tensors(path)["b"].tolist() == [1.5, -2]


# --- safetensors that are not sound --------------------------------------------------------------------------------


def safetensors(folder: Path, entries: Mapping[str, tuple[str, list[int], int]], data: bytes) -> Path:
    at, header = 0, {}
    for name, (dtype, shape, length) in entries.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [at, at + length]}
        at += length
    return raw(folder, json.dumps(header).encode(), data)


def raw(folder: Path, header: bytes, data: bytes = b"", length: int | None = None) -> Path:
    path = folder / "x.safetensors"
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def entry(dtype: str, shape: object, offsets: object) -> str:
    return json.dumps({"dtype": dtype, "shape": shape, "data_offsets": offsets})


BAD_HEADERS = {
    "too long for the file": (b"{}", b"", 1 << 62),
    "too long at all": (b"{}", b" " * (18 << 20), 17 << 20),
    "no json": (b"{oops}", b"", None),
    "bad utf-8": (b'{"\xff": 1}', b"", None),
    "endless nesting": (b'{"a":' + b"[" * 100_000, b"", None),
    "duplicate": (f'{{"a": {entry("U8", [1], [0, 1])}, "a": {entry("U8", [1], [0, 1])}}}'.encode(), b"1", None),
    "gap": (f'{{"a": {entry("U8", [1], [1, 2])}}}'.encode(), b"12", None),
    "overlap": (f'{{"a": {entry("U8", [2], [0, 2])}, "b": {entry("U8", [2], [1, 3])}}}'.encode(), b"123", None),
    "trailing bytes": (f'{{"a": {entry("U8", [1], [0, 1])}}}'.encode(), b"12", None),
    "truncated": (f'{{"a": {entry("F32", [2], [0, 8])}}}'.encode(), b"1234", None),
    "shape and bytes differ": (f'{{"a": {entry("F32", [3], [0, 8])}}}'.encode(), b"12345678", None),
    "huge shape": (f'{{"a": {entry("U8", [1 << 61, 8], [0, 8])}}}'.encode(), b"12345678", None),
    "negative": (f'{{"a": {entry("U8", [-1], [0, -1])}}}'.encode(), b"", None),
    "fraction": (f'{{"a": {entry("U8", [1.0], [0, 1])}}}'.encode(), b"1", None),
    "unknown type": (f'{{"a": {entry("Q7", [1], [0, 1])}}}'.encode(), b"1", None),
    "not a number": (b'{"a": {"dtype": "U8", "shape": [NaN], "data_offsets": [0, 1]}}', b"1", None),
    "metadata is a list": (b'{"__metadata__": [1]}', b"", None),
    "entry is a number": (b'{"a": 1}', b"", None),
    "300,000 tensors": (
        (
            "{" + ",".join(f'"{i}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}' for i in range(300_000)) + "}"
        ).encode(),
        b"",
        None,
    ),
}


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_unsound_safetensors_is_refused(name: str, tmp_path: Path) -> None:
    header, data, length = BAD_HEADERS[name]
    path = raw(tmp_path, header, data, length)
    with pytest.raises((CorruptWeights, UnsafeWeights), match=r"x\.safetensors .* Delete it and get it again\."):
        read_tensors(path)
    assert path.is_file(), "the user's file keeps its name"


# --- files that are something else ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"<!DOCTYPE html><html>Sign in</html>", "web page"),
        (b"\n <html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git-lfs pointer"),
        (b'{"error": "Repository not found"}', "it is text"),
        (b"GGUF\x03\x00\x00\x00" + bytes(64), "neither a safetensors file nor a torch file"),
        (b"PK\x03\x04 but no archive", "archive is damaged"),
        (pickle.dumps({"a": [1, 2]}), "not one that torch.save writes"),
    ],
)
def test_other_files_are_recognised(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CorruptWeights, match=said):
        read_tensors(path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX only")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CorruptWeights, match="not a regular file"):
        read_tensors(tmp_path / "pipe")


@pytest.mark.filterwarnings("ignore")  # a damaged string may warn of its escapes
@pytest.mark.parametrize("whole_module", [False, True])
def test_random_changes_of_the_description(whole_module: bool, tmp_path: Path) -> None:
    """As above, but the archive's own checksum is right again."""
    net = Net()
    torch.save(net if whole_module else net.state_dict(), tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as old:
        members = {info.filename: old.read(info) for info in old.infolist()}
    name = next(name for name in members if name.endswith("/data.pkl"))
    whole, pick = members[name], random.Random(1)
    for _ in range(300):
        at = pick.randrange(len(whole))
        members[name] = whole[:at] + bytes([pick.randrange(256)]) + whole[at + 1 :]
        with zipfile.ZipFile(tmp_path / "b.pth", "w") as new:
            for each, data in members.items():
                new.writestr(each, data)
        try:
            for tensor in read_tensors(tmp_path / "b.pth").values():
                tensor.clone()
        except (CorruptWeights, UnsafeWeights):
            continue


@WRITERS
def test_cut_off_and_flipped_files_give_tensors_or_one_clear_error(kind: str, tmp_path: Path) -> None:
    whole = STATE_DICT_WRITERS[kind](tmp_path / "a", tensors_of_every_kind()).read_bytes()
    pick = random.Random(0)
    cut = [whole[: pick.randrange(1, len(whole))] for _ in range(60)]
    for damaged in cut:
        (tmp_path / "cut").write_bytes(damaged)
        with pytest.raises((CorruptWeights, UnsafeWeights)):
            read_tensors(tmp_path / "cut")
    for _ in range(300):
        at, flip = pick.randrange(len(whole)), 1 << pick.randrange(8)
        (tmp_path / "flip").write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :])
        try:
            for tensor in read_tensors(tmp_path / "flip").values():
                tensor.clone()
        except (CorruptWeights, UnsafeWeights):
            continue


def test_not_finite(tmp_path: Path) -> None:
    good = {
        "a": torch.ones(3),
        "h": torch.full((2,), 6e4, dtype=torch.half),
        "n": torch.tensor([1]),
        "e": torch.ones(0),
    }
    require_finite(good, "f")
    for bad in (float("nan"), float("inf"), -float("inf")):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            with pytest.raises(CorruptWeights, match="bad is not finite"):
                require_finite({**good, "bad": torch.tensor([1.0, bad, 0.0], dtype=dtype)}, "f")


# --- hostile pickles -----------------------------------------------------------------------------------------------


class Evil:
    """Would run a command when unpickled by Python itself."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._reduced = (function, arguments)

    def __reduce__(self) -> Any:
        return self._reduced


WATCH = """
import sys
from pathlib import Path
from keepers.core.weights.formats.read import read_tensors
paths, seen = [Path(name) for name in sys.argv[1:]], []
def hook(event, args):
    writes = event == "open" and "w" in str(args[1])
    if writes or event in ("exec", "compile", "import", "os.system", "subprocess.Popen", "pickle.find_class"):
        seen.append((event, str(args)[:200]))
read_tensors(paths[0])  # from here on, what reading imports late is there
before = set(sys.modules)
sys.addaudithook(hook)
for path in paths:
    found = read_tensors(path)
    print(list(found), [float(tensor.sum()) for tensor in found.values()])
print(sorted(set(sys.modules) - before), seen)
"""


def test_nothing_named_in_a_file_is_imported_or_called(tmp_path: Path) -> None:
    marker = tmp_path / "marker"
    evil = [
        Evil(os.system, f"touch {marker}"),
        Evil(eval, f"open({str(marker)!r}, 'w')"),
        Evil(__import__, "antigravity"),
    ]
    paths: list[Path] = []
    for number, call in enumerate(evil):
        content = {"first": torch.ones(2), "evil": call, "last": torch.zeros(1)}
        paths += [write_zip(tmp_path / f"{number}.zip", content), write_legacy(tmp_path / f"{number}.old", content)]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[4] / ".venv" / "src")}
    command = [sys.executable, "-c", WATCH, *map(str, paths)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout.splitlines()
    assert lines == ["['first', 'last'] [2.0, 0.0]"] * 6 + ["[] []"]
    assert not marker.exists()


def test_the_hostile_files_would_work_elsewhere(tmp_path: Path) -> None:
    """Otherwise the test above would prove nothing."""
    path = write_zip(tmp_path / "evil.pth", {"evil": Evil(os.mkdir, str(tmp_path / "marker"))})
    torch.load(path, weights_only=False)
    assert (tmp_path / "marker").exists()


@pytest.mark.parametrize("write", [write_zip, write_legacy])
def test_stride_bomb(write: Any, tmp_path: Path) -> None:
    path = write(tmp_path / "bomb.pth", {"a": torch.ones(1).expand(1 << 33)})
    assert path.stat().st_size < 10_000
    with pytest.raises(UnsafeWeights, match="larger than its 1 elements"):
        read_tensors(path)


@pytest.mark.filterwarnings("ignore")  # these kinds of tensors are in beta, or deprecated
@pytest.mark.parametrize("kind", ["coordinates", "rows", "quantised"])
def test_tensors_that_are_not_dense(kind: str, tmp_path: Path) -> None:
    make: dict[str, Callable[[], Tensor]] = {
        "coordinates": lambda: torch.eye(3).to_sparse(),
        "rows": lambda: torch.eye(3).to_sparse_csr(),
        "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    }
    with pytest.raises(UnsafeWeights, match="only plain dense tensors"):
        read_tensors(write_zip(tmp_path / "a.pth", {"a": make[kind]()}))


def test_compressed_archive(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(100_000)}, tmp_path / "a.pth")
    with zipfile.ZipFile(tmp_path / "a.pth") as old:
        for packed in ("data.pkl", "0"):
            with zipfile.ZipFile(tmp_path / "b.pth", "w") as new:
                for info in old.infolist():
                    end = info.filename.rpartition("/")[2]
                    kind = zipfile.ZIP_DEFLATED if end == packed else zipfile.ZIP_STORED
                    new.writestr(info.filename, old.read(info), kind)
            with pytest.raises(UnsafeWeights, match="compressed"):
                read_tensors(tmp_path / "b.pth")


def test_archive_without_its_storage(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(10)}, tmp_path / "a.pth")
    for lie, said in ((None, "missing"), (b"123", "shorter")):
        with zipfile.ZipFile(tmp_path / "a.pth") as old, zipfile.ZipFile(tmp_path / "b.pth", "w") as new:
            for info in old.infolist():
                end = info.filename.rpartition("/")[2]
                if end != "0" or lie:
                    new.writestr(info.filename, lie if end == "0" and lie else old.read(info))
        with pytest.raises(CorruptWeights, match=said):
            read_tensors(tmp_path / "b.pth")


def test_module_that_contains_itself(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Linear(1, 1))
    net._modules["again"] = net
    with pytest.raises(UnsafeWeights, match="too deep"):
        read_tensors(write_zip(tmp_path / "a.pth", net))


def test_module_that_repeats_itself(tmp_path: Path) -> None:
    """Thirty modules, each twice inside the next: a billion visits if nobody counted."""
    net = nn.Sequential()
    for _ in range(30):
        net = nn.Sequential(net, net)
    with pytest.raises(UnsafeWeights, match="too many"):
        read_tensors(write_zip(tmp_path / "a.pth", net))


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02\x82\x01.",  # an extension code
        b"\x80\x05\x97.",  # an out-of-band buffer
        b"\x80\x02" + b"N" * 1_000 + b".",  # endless steps
        b"\x80\x04\x8e" + struct.pack("<Q", 1 << 40) + b"x.",  # a string longer than memory
    ],
    ids=["extension", "buffer", "steps", "length"],
)
def test_programs_no_tensor_file_has(program: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inert_pickle, "MOST_STEPS", 900)
    with pytest.raises(UnsafeWeights):
        read_pickle(BytesIO(program))


@pytest.mark.parametrize(
    "program", [b"", b"\x80\x02", b"\x80\x02.", b"(.", b"0.", b"h\x05.", b"N(u.", b"tR.", b"\x80\x02}K\x01s."]
)
def test_damaged_programs(program: bytes) -> None:
    with pytest.raises(CorruptWeights):
        read_pickle(BytesIO(program))


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


LAUGHS = b"]q\x000" + b"]q\x01(h\x00h\x00eq\x000" * 40 + b"h\x00"
"""A list of two lists of two lists ...: printing or comparing it would take forever."""
DEEP = b"N" + b"\x85" * 300_000
"""A tuple in a tuple in a tuple ...: hashing it would exhaust the stack."""
HUGE = b"\x8b" + struct.pack("<i", 1 << 20) + b"\x7f" * (1 << 20)
"""A number of millions of digits, which Python refuses to print."""


def scalar(folder: Path, name: bytes = b"", key: bytes = b"", count: bytes = b"", size: bytes = b"") -> Path:
    """An archive with one number, parts of whose description are something else."""
    storage = (
        b"("
        + text("storage")
        + b"ctorch\nFloatStorage\n"
        + (key or text("0"))
        + text("cpu")
        + (count or b"K\x01")
        + b"tQ"
    )
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"K\x00" + (size or b")") + b")\x89NtR"
    with zipfile.ZipFile(folder / "a.pth", "w") as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}" + (name or text("a")) + tensor + b"s.")
        archive.writestr("a/data/0", struct.pack("<f", 2.5))
    return folder / "a.pth"


@pytest.mark.parametrize("value", [LAUGHS, DEEP, HUGE], ids=["laughs", "deep", "huge"])
@pytest.mark.parametrize("part", ["name", "key", "count", "size"])
def test_values_that_explode_when_touched(value: bytes, part: str, tmp_path: Path) -> None:
    assert read_tensors(scalar(tmp_path))["a"].item() == 2.5
    with pytest.raises((CorruptWeights, UnsafeWeights)) as caught:
        read_tensors(scalar(tmp_path, **{part: value}))
    assert "damaged" not in str(caught.value), "the program itself is intact"
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("value", [LAUGHS, DEEP, HUGE], ids=["laughs", "deep", "huge"])
def test_module_names_that_explode_when_touched(value: bytes) -> None:
    with pytest.raises(CorruptWeights, match="a name that is not text"):
        read_pickle(BytesIO(b"\x80\x04" + value + text("a") + b"\x93."))


def test_large_memo_index_costs_nothing() -> None:
    """Python's own unpickler makes room for all the places below."""
    assert read_pickle(BytesIO(b"\x80\x02Nr\xff\xff\xff\x7f.")) is None


def test_pickle_is_read_as_data() -> None:
    found = read_pickle(BytesIO(pickle.dumps({"p": Path("a"), (1, 2): {3}, 2.5: "x", "l": [1, (True, None)]}, 4)))
    made = found["p"]
    assert isinstance(made, Made)
    assert isinstance(made.by, Name)
    assert found["l"] == [1, (True, None)]
    assert len(found) == 4
