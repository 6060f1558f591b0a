"""Tensors become pictures exactly as ComfyUI's SaveImage writes them, whatever their kind, and are never changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.pictures.open import open_image
from keepers.models.registry import REGISTRY
from keepers.nodes.host.host import RunOptions, store
from keepers.nodes.host.images import flaw, frames, picture, subjects
from keepers.nodes.judging.judging import judge_frames
from keepers.tests.nodes.comfy_stub import batch, comfy, good

__all__ = ["comfy"]


def save_image(image: torch.Tensor) -> Image.Image:
    """What SaveImage of ComfyUI does with one image of a batch."""
    i = 255.0 * image.cpu().numpy()
    return Image.fromarray(np.clip(i, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [3, 4])
def test_pixels_are_those_of_save_image(dtype: torch.dtype, channels: int) -> None:
    torch.manual_seed(0)
    image = (torch.rand(33, 47, channels) * 1.2 - 0.1).to(dtype)
    assert np.array_equal(np.asarray(picture(image)), np.asarray(save_image(image)))


def test_every_level_survives_the_way_from_file_to_tensor_to_file() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    tensor = torch.from_numpy(levels.astype(np.float32) / 255.0)
    assert np.array_equal(np.asarray(picture(tensor)), levels)


def test_bfloat16_and_grey_make_pictures() -> None:
    image = good(1)[0]
    assert picture(image.bfloat16()).size == (96, 96)
    assert picture(image[..., :1]).mode == "L"


def test_views_expanded_and_gradient_tensors_are_read_and_left_alone() -> None:
    image = good(1)[0]
    before = image.clone()
    odd = image.transpose(0, 1)[::2].requires_grad_()
    assert picture(odd.detach()).size == (96, 48)
    assert not frames([image[None].expand(3, -1, -1, -1).requires_grad_()])[2].pixels.requires_grad
    assert torch.equal(image, before)


@pytest.mark.parametrize(
    ("value", "found"), [(float("nan"), True), (float("inf"), True), (-float("inf"), True), (2.0, False)]
)
def test_only_what_is_no_number_is_a_flaw(value: float, found: bool) -> None:
    image = good(1)[0]
    image[5, 6, 1] = value
    assert bool(flaw(image)) == found
    assert bool(flaw(image.half())) == found


def test_nan_makes_a_picture_without_a_warning(recwarn: pytest.WarningsRecorder) -> None:
    assert picture(batch("nan")[0]).size == (96, 96)
    assert not recwarn.list


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (torch.zeros(2, 3, 8, 8, 8), r"\[2, 3, 8, 8, 8\]"),
        (torch.zeros(2, 3, 8, 8), r"\[2, 3, 8, 8\]"),
        (torch.zeros(1, 8, 8, 2), r"\[1, 8, 8, 2\]"),
        (torch.zeros(1, 8, 8, 3, dtype=torch.uint8), "uint8"),
        ("image", "str"),
    ],
)
def test_what_is_no_image_is_named(value: torch.Tensor, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        frames([value])


def test_lists_batches_and_emptiness() -> None:
    mixed = [good(2), torch.zeros(0, 8, 8, 3), good(1, size=64), torch.zeros(1, 0, 8, 3)]
    assert [(frame.batch, frame.index) for frame in frames(mixed)] == [(0, 0), (0, 1), (2, 0)]
    assert frames([]) == frames(None) == frames([None]) == []
    assert len(frames([good(1)[0]])) == 1, "an image without a batch dimension"


def test_a_verdict_on_a_tensor_is_that_on_the_saved_file(comfy: object, tmp_path: Path) -> None:
    """Every value, bit for bit, on floats that lie between the 8-bit levels."""
    torch.manual_seed(1)
    images = (good(3, size=120) + 0.01 * torch.randn(3, 120, 120, 3)).half().float()
    gate = Gate.parse('accept: signals.label == "ok"')
    scores = judge_frames(frames([images]), gate, RunOptions())
    paths = [tmp_path / f"{index}.png" for index in range(3)]
    for path, image in zip(paths, images, strict=True):
        save_image(image).save(path)
    scanned = Judge(REGISTRY, store()).judge(
        [Subject(open=lambda path=path: open_image(path), name=path.name) for path in paths], gate
    )
    for ours, theirs in zip(scores.images, scanned, strict=True):
        assert np.array_equal(ours.answers["signals"].values, theirs.answers["signals"].values)  # type: ignore[union-attr]
        assert ours.verdict == theirs.verdict


def test_subjects_open_only_when_asked() -> None:
    given = subjects(frames([batch("good,nan")]))
    assert [bool(each.flaw) for each in given] == [False, True]
    assert given[0].open().size == (96, 96)
