"""A WebUI extension for tests: pictures of known verdict in place of what was sampled, and a tagger without files.

It is linked into the host's extensions as `scripts/webui_fixtures.py`, after Keepers in the alphabet.
"""

# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false
# Written as extensions are written, for the host to call.
import os
import time
from pathlib import Path

import numpy as np
import torch
from modules import scripts
from PIL import Image

from keepers.core.pictures.preprocess import Preprocess
from keepers.core.prediction import Labels, argmax_label
from keepers.core.spec import ModelSpec, Network
from keepers.models.registry import REGISTRY

FOLDER = Path(os.environ["KEEPERS_FIXTURES"])
LABELS = Labels(("light", "dark"))


class Decoded(list):
    """What the host takes for pictures that need no decoding."""

    already_decoded = True


class Brightness(torch.nn.Module):
    """A tagger of two tags."""

    def forward(self, view):
        light = view.mean((1, 2, 3))
        return torch.stack([light, 1 - light], 1)


def build(_):
    view = Preprocess(8, "squash", "bilinear", mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
    return Network(Brightness(), LABELS, (view,), lambda values: argmax_label(LABELS, values))


REGISTRY._specs["words"] = ModelSpec(
    "words", "Words", "light or dark", "", "none", build, cost=0.1, labels=lambda: LABELS, tags={"": 0.0}
)


class Fixtures(scripts.Script):
    """Replaces a sample by the picture named after its seed; FAIL makes a hook fail, SLOW makes sampling slow."""

    def title(self):
        return "Keepers fixtures"

    def show(self, is_img2img):
        return scripts.AlwaysVisible

    def post_sample(self, p, ps, *args):
        if "SLOW" in p.prompt:
            time.sleep(1.0)
        pictures = [self.picture(seed, p) for seed in p.seeds]
        if all(picture is not None for picture in pictures):
            ps.samples = Decoded(pictures)

    def picture(self, seed, p):
        path = FOLDER / f"{seed}.png"
        if not path.is_file():
            return None
        size = (getattr(p, "hr_upscale_to_x", 0) or p.width, getattr(p, "hr_upscale_to_y", 0) or p.height)
        with Image.open(path) as picture:
            values = np.asarray(picture.convert("RGB").resize(size), dtype=np.float32)
        return torch.from_numpy(np.moveaxis(values / 127.5 - 1, 2, 0).copy())
