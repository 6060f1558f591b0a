"""Opens image files: only known formats, only regular files, only within a pixel budget, with typed errors.

The picture keeps the mode, ICC profile and transparency it was stored with, because each model's original converts
them in its own way. Only what Pillow would silently get wrong is settled here: 16-bit and float grey are scaled to
8 bits, and an animation is reduced to its first frame.
"""

from __future__ import annotations

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ..errors import UnreadableImage
from .quality import UNKNOWN, quality_of

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "MPO", "PPM", "TGA", "QOI")
"""None that starts another program (EPS), holds a document (PDF) or has no business here (FITS, PSD, …)."""

SUFFIXES = frozenset(
    f".{ending}"
    for ending in (
        *("png", "apng", "jpg", "jpeg", "jfif", "webp", "gif", "bmp", "tif", "tiff"),
        *("avif", "jp2", "j2k", "mpo", "ppm", "pgm", "tga", "qoi"),
    )
)
"""The endings by which a walk recognises images; a file named by hand may have any ending."""

PIXEL_LIMIT = 100_000_000
"""The default budget: 100 megapixels, or about 400 MB while an RGBA picture is converted."""

FILE_LIMIT = 1 << 30
"""Bytes; no picture within the pixel budget needs more."""

ORIENTATION = 0x0112
"""The EXIF tag that says how a viewer turns the picture."""

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def open_image(source: Path | bytes, *, name: str = "", pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """The first frame of an image, decoded, in the mode it was stored in, with 8 bits per channel.

    `info["keepers_notes"]` is a tuple of what a user should know about the file. `info` also keeps icc_profile, exif
    and transparency. The result owns its memory, and the file is closed.

    Raises UnreadableImage.
    """
    label = name or (str(source) if isinstance(source, Path) else "image")
    data = source if isinstance(source, bytes) else read_image_file(source)
    if not data:
        raise UnreadableImage(label, "empty", "the file is empty (0 bytes)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns about large pictures and odd EXIF; our own checks decide
        picture, notes = _identify(data, label)
        with picture:
            return _decode(picture, label, pixel_limit, notes)


def copy_picture(picture: Image.Image, *, name: str = "image", pixel_limit: int = PIXEL_LIMIT) -> Image.Image:
    """A picture that another program opened or made, as `open_image` would give it; the original stays as it is.

    Raises UnreadableImage.
    """
    return _decode(picture, name, pixel_limit, ())


class Header(NamedTuple):
    """What a file says before its pixels are decoded."""

    width: int = 0
    height: int = 0
    quality: int = UNKNOWN
    """1 to 100, as of a JPEG; 101 for lossless files, 0 if it is not known (see `quality_of`)."""


def image_header(data: bytes) -> Header:
    """Size as stored and quality, from the header alone; all 0 if it cannot be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            picture, _ = _identify(data, "image")
            with picture:
                return Header(*picture.size, quality_of(picture, len(data)))
    except UnreadableImage:
        return Header()


def read_image_file(path: Path) -> bytes:
    """The whole file, checked to be regular (a FIFO would hang, a device would never end) and unchanged.

    Raises UnreadableImage.
    """
    try:
        before = path.stat()
        if not stat.S_ISREG(before.st_mode):
            raise UnreadableImage(path, "not_a_file", "this is not a regular file")
        if before.st_size > FILE_LIMIT:
            raise UnreadableImage(path, "too_large", f"the file has {before.st_size / 1e9:.1f} GB")
        with path.open("rb") as file:
            data = file.read()
            after = os.fstat(file.fileno())
    except UnreadableImage:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UnreadableImage(path, "not_a_file", "the file is not there (any more)") from error
    except PermissionError as error:
        raise UnreadableImage(path, "io", "no permission to read it") from error
    except (OSError, ValueError) as error:  # a link loop, a failing disk, a NUL in the name
        raise UnreadableImage(path, "io", f"it cannot be read ({error})") from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(data) != after.st_size:
        raise UnreadableImage(path, "changed", "the file changed while it was read; try again when it is finished")
    return data


def _identify(data: bytes, label: str) -> tuple[ImageFile.ImageFile, tuple[str, ...]]:
    known = [name for name in FORMATS if name in _registered()]
    try:
        return Image.open(io.BytesIO(data), formats=known), ()
    except Image.DecompressionBombError as error:
        raise UnreadableImage(label, "too_large", f"too many pixels ({error})") from error
    except UnidentifiedImageError as error:
        refused = _other_format(data)
        if refused:
            raise UnreadableImage(label, "format_not_allowed", f"{refused} files are not opened") from error
        raise UnreadableImage(label, "not_image", "this is not an image of a known format") from error
    except Exception as error:
        bare = _without_text(data)
        if len(bare) < len(data):
            return _identify(bare, label)[0], ("its text metadata is damaged or too large, and was ignored",)
        raise UnreadableImage(label, "corrupt", f"its header is damaged ({_say(error)})") from error


def _without_text(data: bytes) -> bytes:
    """A PNG without its text, EXIF and ICC chunks: Pillow refuses an intact picture if one of these is broken."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    kept, position = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while position + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, position)
        end = position + 12 + length
        if data[position + 4 : position + 8] not in (b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"iCCP"):
            kept.append(data[position:end])
        position = end
    return b"".join(kept)


def _registered() -> dict[str, object]:
    Image.init()
    return Image.OPEN  # pyright: ignore[reportReturnType]  Pillow types this as its own plugin tuples


def _other_format(data: bytes) -> str:
    """The name of a format that we recognise but never open; empty for any other."""
    starts = {b"%!PS": "PostScript", b"\xc5\xd0\xd3\xc6": "EPS", b"%PDF": "PDF", b"SIMPLE  =": "FITS", b"8BPS": "PSD"}
    found = [name for start, name in starts.items() if data.startswith(start)]
    if not found and b"<svg" in data[:1024].lower():
        found = ["SVG"]
    return found[0] if found else ""


def _decode(picture: Image.Image, label: str, pixel_limit: int, notes: tuple[str, ...]) -> Image.Image:
    width, height = picture.size
    if width * height > pixel_limit:
        detail = f"{width}x{height} is {width * height / 1e6:.0f} megapixels, over the limit of {pixel_limit / 1e6:.0f}"
        raise UnreadableImage(label, "too_large", detail)
    if width < 1 or height < 1:
        raise UnreadableImage(label, "too_small", f"{width}x{height} has no pixels")
    notes = (*notes, *_frame_notes(picture))
    try:
        picture.load()
    except MemoryError as error:  # the file may be sound, and the next time there may be room
        raise UnreadableImage(label, "io", "there is not enough memory to decode it") from error
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        text = _say(error)
        cut = "truncated" in text or "Truncated" in text or isinstance(error, EOFError)
        raise UnreadableImage(
            label, "truncated" if cut else "corrupt", f"its pixels cannot be decoded ({text})"
        ) from error
    except Exception as error:  # on odd files, decoders raise nearly anything
        raise UnreadableImage(label, "corrupt", f"its pixels cannot be decoded ({_say(error)})") from error
    result, more = _eight_bits(picture, label)
    info = {key: value for key, value in picture.info.items() if key in ("icc_profile", "exif", "transparency")}
    result = result if result is not picture else picture.copy()
    result.info = {**info, "keepers_notes": (*notes, *more, *view_notes(result))}
    return result


def _frame_notes(picture: Image.Image) -> tuple[str, ...]:
    frames = int(getattr(picture, "n_frames", 1))
    return (f"first of {frames} frames",) if frames > 1 else ()


def view_notes(picture: Image.Image) -> Iterator[str]:
    """How models see a picture that their originals treat in an unexpected way.

    A picture that shows nothing still has colours, and some models judge them as if they were visible.
    """
    keyed = picture.info.get("transparency") is not None
    if picture.mode in ("RGBA", "LA"):
        counts = picture.getchannel("A").histogram()
        if not any(counts[1:]):
            yield "fully transparent"
        elif any(counts[:-1]):
            yield "partly transparent: each model sees it as its original does"
    elif keyed or picture.mode in ("PA", "La", "RGBa"):
        yield "partly transparent: each model sees it as its original does"
    if picture.mode in ("LA", "La", "PA") or (keyed and picture.mode != "RGB"):
        yield "grey or palette colours with transparency: originals that refuse such pictures are asked as with RGBA"
    if _turned(picture):
        yield "its EXIF rotation is not applied: models see it as it is stored, as their originals do"


def _turned(picture: Image.Image) -> bool:
    if not picture.info.get("exif"):
        return False
    try:
        return int(picture.getexif().get(ORIENTATION, 1)) not in (0, 1)
    except Exception:  # damaged EXIF raises nearly anything
        return False


def _eight_bits(picture: Image.Image, label: str) -> tuple[Image.Image, tuple[str, ...]]:
    """Scales grey of more than 8 bits; Pillow's own conversion would clip it to white."""
    if picture.mode.startswith("I;16"):
        grey = np.asarray(picture).astype(np.uint16)
        return Image.fromarray(_scaled(grey)), ("16-bit grey scaled to 8 bits",)
    if picture.mode == "I":
        grey = np.asarray(picture)
        if grey.min() < 0 or grey.max() > 65535:
            raise UnreadableImage(label, "unsupported_depth", "32-bit integer pixels have no known range")
        return Image.fromarray(_scaled(grey)), ("16-bit grey scaled to 8 bits",)
    if picture.mode == "F":
        values = np.asarray(picture)
        if not np.isfinite(values).all() or values.min() < 0 or values.max() > 1:
            raise UnreadableImage(
                label, "unsupported_depth", "float pixels outside 0 to 1, or NaN, have no known range"
            )
        return Image.fromarray((values * 255 + 0.5).astype(np.uint8)), ("float grey scaled to 8 bits",)
    return picture, ()


def _scaled(grey: np.ndarray) -> np.ndarray:
    return ((grey.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _say(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}".replace("\n", " ")[:160]
