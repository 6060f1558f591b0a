"""The furry golden cases: tiny SavedModels that TensorFlow 2.13 has written, and timm's nets of the same sizes.

`tests/parity/furry_savedmodels.py tiny` makes them anew; `pack` keeps of each what a conversion reads.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
from numpy.typing import NDArray
from torch import nn

from keepers.models.furry import names as furry_names
from keepers.models.furry.names import Rename, Renaming, fitted
from keepers.models.savedmodel.bundle import Variable

DATA = Path(__file__).parents[2] / "data" / "furry"
TAGS = {"identity": 6, "species": 5, "body": 4, "clothing": 3, "action": 2}
KNOWN = {**{group: tuple(f"{group}_{i}" for i in range(n)) for group, n in TAGS.items()}, "rating": ("rating",)}


def mobilenet() -> nn.Module:
    """timm rounds the last convolution's width in another way than Keras: its 1/6 has the sizes of Keras' 0.1."""
    from timm.models.mobilenetv3 import _gen_mobilenet_v3

    return _gen_mobilenet_v3("tf_mobilenetv3_small_100", 1 / 6, num_classes=0, bn_eps=1e-3, pad_type="same")


TOWERS: dict[str, tuple[Callable[[], nn.Module], Rename]] = {
    "efficientnet_v2_tiny": (
        lambda: timm.create_model("tf_efficientnetv2_s", channel_multiplier=0.25, depth_multiplier=0.2, num_classes=0),
        furry_names.efficientnet,
    ),
    "convnext_small_tiny": (
        lambda: timm.create_model("convnext_tiny", depths=(1, 2, 3, 1), dims=(4, 8, 12, 16), num_classes=0),
        furry_names.convnext,
    ),
    "mobilenet_v3_tiny": (mobilenet, furry_names.mobilenet),
}


def make_tower(name: str) -> nn.Module:
    return TOWERS[name][0]()


def recognise_as(name: str) -> Callable[[object], tuple[str, Renaming]]:
    """As `furry_names.recognise`, for a tiny tower."""

    def recognise(variables: list[Variable]) -> tuple[str, Renaming]:
        from keepers.core.weights.assign import build_on_meta

        make, rename = TOWERS[name]
        return name, fitted(build_on_meta(make), variables, rename)

    return recognise  # pyright: ignore[reportReturnType]  the converter gives a list


def pixels(size: int) -> NDArray[np.float32]:
    """The images the answers were recorded for, [4, size, size, 3]: the first numbers of this generator."""
    return np.random.RandomState(1).uniform(-2, 2, (4, size, size, 3)).astype(np.float32)


def answers(name: str) -> dict[str, NDArray[np.float32]]:
    with np.load(DATA / f"{name}.npz") as found:
        return {key: found[key] for key in found.files}


def pack(saved: Path, name: str, target: Path) -> None:
    """A zip as the published ones are, without the graphs; and the recorded answers without the pixels."""
    target.mkdir(parents=True, exist_ok=True)
    parts = ("keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")
    with zipfile.ZipFile(target / f"{name}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for part in parts:
            # The hub layer tells the temporary folder it came from; a name of the same length takes its place.
            content = re.sub(rb"/tmp/tmp\w{8}", b"hub://random-net", (saved / name / part).read_bytes())
            archive.writestr(zipfile.ZipInfo(f"{name}/{part}"), content, zipfile.ZIP_DEFLATED)
    with np.load(saved / f"{name}.npz") as found:
        np.savez_compressed(target / f"{name}.npz", **{key: found[key] for key in found.files if key != "x"})
