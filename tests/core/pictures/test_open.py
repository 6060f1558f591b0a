"""Good and bad files: each is opened as it should be, or refused with its own code."""

from __future__ import annotations

import io
import os
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from keepers.core.errors import UnreadableImage
from keepers.core.pictures.open import PNG_SIGNATURE, image_header, open_image, read_image_file

RANDOM = np.random.RandomState(1)
PIXELS = RANDOM.randint(0, 256, (40, 60, 3)).astype(np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(UnreadableImage) as caught:
        open_image(data, name="x.png")
    assert str(caught.value).startswith("x.png: ")
    assert "\n" not in str(caught.value)
    return caught.value.code


PICTURE = Image.fromarray(PIXELS)
PNG = encoded(PICTURE)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return PNG_SIGNATURE + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_pixels_are_those_of_the_file() -> None:
    assert np.array_equal(np.asarray(open_image(PNG)), PIXELS)


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "BMP", "TIFF", "PPM", "TGA"])
def test_lossless_formats(kind: str) -> None:
    options = {"lossless": True} if kind == "WEBP" else {}
    assert np.array_equal(np.asarray(open_image(encoded(PICTURE, kind, **options))), PIXELS)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK"])
def test_modes_are_kept(mode: str) -> None:
    kind = "TIFF" if mode == "CMYK" else "PNG"
    assert open_image(encoded(PICTURE.convert(mode), kind)).mode == mode


def test_sixteen_bit_grey_is_scaled_and_not_white() -> None:
    grey = np.linspace(0, 65535, 40 * 60).reshape(40, 60).astype(np.uint16)
    opened = open_image(encoded(Image.fromarray(grey)))
    assert opened.mode == "L"
    assert np.abs(np.asarray(opened).astype(int) - np.round(grey / 257)).max() <= 1
    assert opened.info["keepers_notes"] == ("16-bit grey scaled to 8 bits",)
    eight = Image.fromarray((np.arange(256, dtype=np.uint16) * 257)[None])
    assert np.asarray(open_image(encoded(eight))).ravel().tolist() == list(range(256))


def test_every_sixteen_bit_grey_becomes_the_nearest_eight_bit_one() -> None:
    """v / 257 is the exact scale: 65535 becomes 255. Shifting by 8 bits is off for half of them."""
    grey = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256)
    nearest = (2 * grey.astype(np.int64) + 257) // (2 * 257)
    for kind in ("PNG", "TIFF"):
        assert np.array_equal(np.asarray(open_image(encoded(Image.fromarray(grey), kind))), nearest)


def test_float_pixels_are_scaled_or_refused() -> None:
    values = np.linspace(0, 1, 256, dtype=np.float32)[None]
    assert np.asarray(open_image(encoded(Image.fromarray(values), "TIFF"))).ravel().tolist() == list(range(256))
    for bad in (np.nan, np.inf, 7.0, -1.0):
        assert refused(encoded(Image.fromarray(np.full((4, 4), bad, np.float32)), "TIFF")) == "unsupported_depth"
    assert refused(encoded(Image.fromarray(np.full((4, 4), 1 << 20, np.int32)), "TIFF")) == "unsupported_depth"


def test_of_an_animation_the_first_frame_is_taken() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    opened = open_image(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert opened.convert("RGB").getpixel((0, 0)) == (255, 0, 0)
    assert opened.info["keepers_notes"] == ("first of 3 frames",)


def test_damaged_exif_is_no_rotation() -> None:
    assert open_image(encoded(PICTURE, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff")).info["keepers_notes"] == ()


def test_a_picture_that_shows_nothing_is_noted() -> None:
    clear = PICTURE.convert("RGBA")
    assert open_image(encoded(clear)).info["keepers_notes"] == ()
    clear.putalpha(0)
    assert open_image(encoded(clear)).info["keepers_notes"] == ("fully transparent",)


def test_bad_files() -> None:
    assert refused(b"") == "empty"
    assert refused(b"<html>404</html>") == "not_image"
    assert refused(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n") == "format_not_allowed"
    assert refused(b"%PDF-1.7\n") == "format_not_allowed"
    assert refused(b"SIMPLE  =                    T") == "format_not_allowed"
    assert refused(b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>') == "format_not_allowed"
    assert refused(b"\0" * 1000) == "not_image"


@pytest.mark.parametrize("keep", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_cut_files(kind: str, keep: float) -> None:
    data = encoded(PICTURE.resize((300, 200)), kind)
    assert refused(data[: int(len(data) * keep)]) in ("truncated", "corrupt", "not_image")


def test_a_jpeg_without_its_last_bytes_is_truncated() -> None:
    assert refused(encoded(PICTURE, "JPEG")[:-40]) == "truncated"


def test_a_flipped_byte_is_corrupt() -> None:
    data = bytearray(PNG)
    data[PNG.index(b"IDAT") + 30] ^= 0xFF
    assert refused(bytes(data)) in ("corrupt", "truncated")


def test_decompression_bombs_are_refused_by_their_header() -> None:
    huge = png(30000, 30000, 8, 0, b"")
    assert refused(huge) == "too_large"
    assert refused(png(12000, 12000, 8, 2, b"")) == "too_large"
    assert refused(png(2**31 - 1, 2**31 - 1, 8, 0, b"")) in ("too_large", "corrupt", "not_image")
    with pytest.raises(UnreadableImage, match="over the limit"):
        open_image(PNG, pixel_limit=100)


@pytest.mark.parametrize("size", [(1, 1), (1, 10000), (10000, 1), (3, 20000)])
def test_thin_pictures_open(size: tuple[int, int]) -> None:
    assert open_image(encoded(Image.new("RGB", size))).size == size


def test_a_text_bomb_does_not_lose_the_picture() -> None:
    bomb = chunk(b"zTXt", b"Comment\0\0" + zlib.compress(b"a" * 200_000_000, 1))
    data = PNG[:33] + bomb + PNG[33:]
    opened = open_image(data)
    assert np.array_equal(np.asarray(opened), PIXELS)
    assert "ignored" in opened.info["keepers_notes"][0]


def test_a_hundred_texts_are_no_trouble() -> None:
    info = PngImagePlugin.PngInfo()
    for n in range(100):
        info.add_text(f"key{n}", "text" * 100)
    assert np.array_equal(np.asarray(open_image(encoded(PICTURE, pnginfo=info))), PIXELS)


def test_a_broken_colour_profile_is_kept_for_the_models_to_judge() -> None:
    opened = open_image(encoded(PICTURE, icc_profile=b"no profile"))
    assert opened.info["icc_profile"] == b"no profile"


def test_trailing_data_is_ignored() -> None:
    assert np.array_equal(np.asarray(open_image(PNG + b"PK\x03\x04" + bytes(1000))), PIXELS)


def test_the_size_comes_from_the_header() -> None:
    assert image_header(PNG) == (60, 40, 101)
    assert image_header(PNG[:60]) == (60, 40, 101)
    assert image_header(b"nothing") == (0, 0, 0)


def test_only_regular_files_are_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "gone.png", Path(os.devnull)):
        with pytest.raises(UnreadableImage) as caught:
            read_image_file(path)
        assert caught.value.code == "not_a_file"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no FIFO files")
def test_a_fifo_does_not_hang_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(UnreadableImage) as caught:
        read_image_file(tmp_path / "pipe.png")
    assert caught.value.code == "not_a_file"


def test_a_file_that_grows_while_it_is_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    fstat = os.fstat

    def grown(descriptor: int) -> os.stat_result:
        with path.open("ab") as file:
            file.write(b"more")
        return fstat(descriptor)

    monkeypatch.setattr(os, "fstat", grown)
    with pytest.raises(UnreadableImage) as caught:
        read_image_file(path)
    assert caught.value.code == "changed"


def test_hostile_names_stay_on_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a\n\x1b[31m\u202egnp.png"
    path.write_bytes(b"x")
    with pytest.raises(UnreadableImage) as caught:
        open_image(path)
    text = str(caught.value)
    assert "\n" not in text
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_mutants_give_pictures_or_typed_errors() -> None:
    random = np.random.RandomState(7)
    codes: set[str] = set()
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        whole = encoded(PICTURE.convert("P") if kind == "GIF" else PICTURE, kind)
        for _ in range(120):
            data = bytearray(whole)
            for place in random.randint(0, len(data), random.randint(1, 6)):
                data[place] = random.randint(256)
            try:
                open_image(bytes(data[: random.randint(len(data) // 2, len(data) + 1)]))
            except UnreadableImage as error:
                codes.add(error.code)
    assert codes <= {"truncated", "corrupt", "not_image", "too_large", "unsupported_depth", "too_small"}
    assert len(codes) > 1
