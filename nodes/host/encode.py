"""An image as the bytes of a file, with ComfyUI's workflow and our record in it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from typing import TYPE_CHECKING, Any, Literal

from PIL.PngImagePlugin import PngInfo

from ...core.metadata.record import Record
from ...core.metadata.write import embedded, png_text

if TYPE_CHECKING:
    from PIL import Image

Format = Literal["png", "webp", "webp lossless", "jpeg"]
SUFFIX: Mapping[Format, str] = {"png": ".png", "webp": ".webp", "webp lossless": ".webp", "jpeg": ".jpg"}

_MODEL, _MAKE = 0x0110, 0x010F
"""The EXIF tags in which ComfyUI stores the prompt and, counting down, the workflow and the rest."""


@dataclass(frozen=True)
class Workflow:
    """What ComfyUI passes to nodes that save."""

    prompt: Mapping[str, Any] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def texts(self) -> dict[str, str]:
        """JSON texts by keyword, the prompt first."""
        prompt = {} if self.prompt is None else {"prompt": json.dumps(self.prompt)}
        return prompt | {key: json.dumps(value) for key, value in self.extra.items()}


def encode(
    image: Image.Image, form: Format, quality: int, workflow: Workflow | None, record: Record | None
) -> tuple[bytes, str]:
    """The file's bytes, and a note if part of the metadata did not fit."""
    if form == "png":
        return _png(image, workflow, record), ""
    data, note = _with_exif(image, form, quality, workflow)
    if record is None:
        return data, note
    try:
        return embedded(data, record), note
    except OverflowError as error:
        return data, "; ".join(filter(None, [note, f"no scores in the file: {error}"]))


def _png(image: Image.Image, workflow: Workflow | None, record: Record | None) -> bytes:
    texts = PngInfo()
    for key, text in (workflow.texts() if workflow else {}).items():
        texts.add_text(key, text)
    if record is not None:
        texts.add_text(*png_text(record))
    file = BytesIO()
    image.save(file, "PNG", pnginfo=texts, compress_level=4)  # SaveImage's own level
    return file.getvalue()


def _with_exif(image: Image.Image, form: Format, quality: int, workflow: Workflow | None) -> tuple[bytes, str]:
    if form == "jpeg" and image.mode not in ("RGB", "L"):
        image = image.convert("RGB")  # a JPEG has no alpha; the colours do not change
    exif = image.getexif()
    tags = [_MODEL, *range(_MAKE, 0, -1)]
    for tag, (key, text) in zip(tags, workflow.texts().items() if workflow else (), strict=False):
        exif[tag] = f"{key}:{text}"
    file = BytesIO()
    name = "JPEG" if form == "jpeg" else "WEBP"
    how: dict[str, Any] = {"lossless": True, "exact": True} if form == "webp lossless" else {"quality": quality}
    try:
        image.save(file, name, exif=exif, **how)
    except ValueError:  # a JPEG has room for 64 KiB of EXIF; the picture matters more than the workflow
        if form != "jpeg":
            raise
        file = BytesIO()
        image.save(file, name, **how)
        return file.getvalue(), "no workflow in the file: it has no room for one so large"
    return file.getvalue(), ""
