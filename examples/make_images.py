"""Makes examples/images: coherent pictures and real kinds of failure, with the metadata of both hosts."""

from __future__ import annotations

import io
import runpy
import sys
from pathlib import Path

import numpy as np
from PIL import Image

if not __package__:  # run by path, as `make examples` does
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / ".venv" / "src"))
    runpy.run_module("keepers.examples.make_images", run_name="__main__")
    sys.exit()

from . import failures, metadata, pictures

FOLDER = Path(__file__).resolve().parent / "images"
CUT = 0.55
"""How much of the truncated file is left."""


def _asked(prompt: str, seed: int, picture: Image.Image) -> metadata.Generation:
    return metadata.Generation(prompt, seed, width=picture.width, height=picture.height)


def webui(picture: Image.Image, kind: str, prompt: str, seed: int) -> bytes:
    """The bytes of a PNG, JPEG or WEBP file as the WebUI saves it."""
    asked = _asked(prompt, seed, picture)
    if kind == "PNG":
        return _encode(picture, kind, pnginfo=metadata.webui_png(asked), optimize=True)
    return _encode(picture, kind, exif=metadata.webui_exif(asked), quality=86)


def comfy(picture: Image.Image, kind: str, prompt: str, seed: int) -> bytes:
    """The bytes of a PNG or WEBP file as ComfyUI saves it."""
    asked = _asked(prompt, seed, picture)
    if kind == "PNG":
        return _encode(picture, kind, pnginfo=metadata.comfy_png(asked), compress_level=9)
    return _encode(picture, kind, exif=metadata.comfy_exif(asked), quality=86)


def _encode(picture: Image.Image, kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def again(picture: Image.Image) -> Image.Image:
    """The picture a little closer and brighter, as a variation seed of low strength gives."""
    width, height = picture.size
    closer = picture.resize(picture.size, Image.Resampling.BICUBIC, box=(3, 2, width - 3, height - 2))
    return closer.point([min(255, level + 5) for level in range(256)] * 3)


def sticker() -> Image.Image:
    """The fox cut out; the transparent part hides colours."""
    fox = np.asarray(pictures.cartoon((384, 384)))
    blue = np.abs(fox.astype(int) - fox[2, 2]).sum(axis=2) < 90
    hidden = np.random.RandomState(5).randint(0, 256, (24, 24, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)
    colours = np.where(blue[..., None], hidden, fox)
    return Image.fromarray(np.dstack([colours, np.where(blue, 0, 255)]).astype(np.uint8))


def make() -> dict[str, bytes]:
    """The files by name; one version of Pillow gives the same bytes every time."""
    mountains, town, balls = pictures.mountains(), pictures.night(), pictures.spheres((512, 640))
    fog, sea = pictures.fog(), pictures.sea()
    whole = webui(pictures.mountains((512, 384), 21, 1), "PNG", "mountain lake at noon, clear sky", 3141592653)
    return {
        "mountains.png": webui(mountains, "PNG", "mountain ranges in the haze, low sun, (golden hour:1.2)", 1748391650),
        "mountains_again.jpg": webui(
            again(mountains), "JPEG", "mountain ranges in the haze, low sun, (golden hour:1.2)", 1748391651
        ),
        "night_town.png": comfy(town, "PNG", "a town at night, lit windows, starry sky", 880412),
        "glossy_balls.jpg": webui(balls, "JPEG", "three glossy balls on a chequered floor, studio light", 42),
        "fox.png": comfy(pictures.cartoon(), "PNG", "cartoon fox face, thick outlines, flat colours", 7700123),
        "ink_tree.png": webui(pictures.line_art(), "PNG", "ink drawing of a bare tree, white background", 2024),
        "foggy_forest.webp": webui(fog, "WEBP", "a lone fir in a foggy forest, muted colours", 951753),
        "leaf.webp": comfy(pictures.bokeh(), "WEBP", "macro photo of a leaf, bokeh lights", 655360),
        "sticker.png": comfy(sticker(), "PNG", "sticker of a fox face, transparent background", 7700124),
        "black_frame.png": comfy(failures.solid((512, 768), (0, 0, 0)), "PNG", "portrait of a knight", 123456789),
        "never_denoised.jpg": webui(failures.latent_noise((512, 512), 55, 3), "JPEG", "a harbour at dawn", 99),
        "out_of_focus.jpg": webui(failures.blurred(balls, 45), "JPEG", "three glossy balls", 43),
        "burnt.jpg": webui(failures.burnt(balls, 7), "JPEG", "three glossy balls, vivid", 44),
        "tiled.webp": comfy(failures.tiled(sea, 3, 2), "WEBP", "waves below a cloudy sky", 31337),
        "tiny.png": webui(pictures.mountains((24, 16)), "PNG", "thumbnail", 1),
        "truncated.png": whole[: int(CUT * len(whole))],
    }


def main() -> None:
    """Write the files, and print their names."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in make().items():
        (FOLDER / name).write_bytes(content)
        print(f"{len(content) // 1024:5} kB  {name}")


if __name__ == "__main__":
    main()
