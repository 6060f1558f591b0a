"""Text files beside pictures: generation data or a caption."""

from __future__ import annotations

import json

import pytest

from keepers.core.metadata.beside import generation_beside

LINE = "Steps: 24, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 64x64, Model: moss"


@pytest.mark.parametrize(
    "text",
    [
        f"a newt\nNegative prompt: fog\n{LINE}",
        f"a newt\nNegative prompt: fog\n{LINE}\n\n",
        "a newt\nNegative prompt: fog",
        f"a newt Negative prompt: fog {LINE}",
        json.dumps({"sui_image_params": {"prompt": "a newt", "negativeprompt": "fog"}}),
        "Prompt: a newt\nNegative Prompt: fog\nSeed: 5\nStable Diffusion model: moss\nSteps: 24\n",
    ],
)
def test_generation_data(text: str) -> None:
    found = generation_beside(text)
    assert found and (found.positive, found.negative) == ("a newt", "fog")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a newt, moss, stairs",
        "species: newt, pose: sitting, style: ink, colour: green",
        "Steps: of an old temple",
        "Steps: 24",
        '{"tags": ["newt"], "prompt": "a newt"}',
        "Prompt: what a newt sees",
    ],
)
def test_captions(text: str) -> None:
    assert generation_beside(text) is None
