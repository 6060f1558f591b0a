"""Texts hidden in pixels, written as NovelAI and Forge do, bit for bit."""

from __future__ import annotations

import gzip
import json
import struct
import time
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from keepers.core.metadata import stealth
from keepers.core.metadata.read import read_generation
from keepers.core.metadata.stealth import BadStealth, hidden_in, hidden_text

TEXT = "a kingfisher, 翡翠\nNegative prompt: fog\nSteps: 8, Sampler: Euler, CFG scale: 3, Seed: 12, Model: reed"


def hide(data: bytes, mark: str, size: tuple[int, int] = (90, 70), length: int | None = None) -> Image.Image:
    """A picture with `data` behind a mark; pixel by pixel, as the writers do it."""
    alpha = "rgb" not in mark
    bits = "".join(f"{byte:08b}" for byte in mark.encode() + struct.pack(">I", length or 8 * len(data)) + data)
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 4 if alpha else 3), np.uint8)
    if alpha:
        pixels[..., 3] = 255
    waiting = iter(bits)
    for x in range(size[0]):
        for y in range(size[1]):
            for channel in (3,) if alpha else (0, 1, 2):
                if bit := next(waiting, ""):
                    pixels[y, x, channel] = pixels[y, x, channel] & 0xFE | int(bit)
    assert next(waiting, "") == "", "the picture is too small"
    return Image.fromarray(pixels)


def png(image: Image.Image, **options: object) -> bytes:
    stream = BytesIO()
    image.save(stream, "PNG", **options)
    return stream.getvalue()


@pytest.mark.parametrize("mark", ["stealth_pnginfo", "stealth_pngcomp", "stealth_rgbinfo", "stealth_rgbcomp"])
@pytest.mark.parametrize("size", [(90, 70), (40, 300)])
def test_what_was_hidden_is_read(mark: str, size: tuple[int, int]) -> None:
    data = TEXT.encode()
    image = hide(gzip.compress(data) if "comp" in mark else data, mark, size)
    assert hidden_in(image) == TEXT
    for level in (0, 9):
        found = read_generation(png(image, compress_level=level))
        assert (found.source, found.positive, found.negative, found.seed) == ("a1111", "a kingfisher, 翡翠", "fog", 12)
    with Image.open(BytesIO(png(image))) as opened:
        assert read_generation(opened).seed == 12


def test_novelai_hides_all_its_texts() -> None:
    comment = json.dumps({"prompt": "a kingfisher", "uc": "fog", "seed": 12, "steps": 8})
    data = {"Description": "a kingfisher", "Software": "NovelAI", "Source": "Reed 0A0B0C0D", "Comment": comment}
    found = read_generation(png(hide(gzip.compress(json.dumps(data).encode()), "stealth_pngcomp")))
    assert (found.source, found.positive, found.negative, found.seed) == ("novelai", "a kingfisher", "fog", 12)
    assert (found.model, found.texts["Description"]) == ("Reed", "a kingfisher")


def test_no_mark_no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures without a mark, of any kind, cost a few rows."""
    whole = png(hide(b"x", "stealth_nothing"))
    monkeypatch.setattr(stealth, "hidden_in", lambda image: pytest.fail("the whole picture was decoded"))
    assert hidden_text(BytesIO(whole)) == ""
    for mode in ("L", "LA", "P", "1", "I;16"):
        assert hidden_text(BytesIO(png(Image.new(mode, (30, 30))))) == ""


def test_bad_payloads_leave_a_note() -> None:
    bomb = gzip.compress(b"x" * (40 << 20))
    for image, why in (
        (hide(b"not gzip", "stealth_pngcomp"), "damaged"),
        (hide(b"abc", "stealth_pnginfo", length=0x7FFFFFF8), "does not fit"),
        (hide(b"abc", "stealth_pnginfo", length=9), "does not fit"),
        (hide(bomb, "stealth_pngcomp", (600, 600)), "more than 4 MiB"),
    ):
        with pytest.raises(BadStealth, match=why):
            hidden_text(BytesIO(png(image)))
        found = read_generation(png(image))
        assert (found.source, found.positive) == ("", "")
        assert any(why in note for note in found.notes)


def test_a_bomb_of_pixels_is_bounded() -> None:
    head = struct.pack(">IIBBBBB", 7000, 7000, 8, 6, 0, 0, 0)
    data = zlib.compress(bytes(7000 * 7000 * 4 // 8), 9)
    parts = [(b"IHDR", head), (b"IDAT", data), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    start = time.process_time()
    assert hidden_text(BytesIO(b"\x89PNG\r\n\x1a\n" + body)) == ""
    assert time.process_time() - start < 2


@settings(deadline=None)
@given(st.binary(max_size=200), st.integers(0, 400))
def test_any_damage_is_a_note(noise: bytes, at: int) -> None:
    data = bytearray(png(hide(TEXT.encode(), "stealth_pnginfo")))
    data[at + 8 : at + 8 + len(noise)] = noise
    assert isinstance(read_generation(bytes(data)).notes, tuple)
