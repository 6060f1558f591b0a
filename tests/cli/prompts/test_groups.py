"""The prompt of an image, from its metadata or from a file beside it."""

from __future__ import annotations

from pathlib import Path

from keepers.cli.prompts.groups import prompt_of

INFOTEXT = "a newt\nNegative prompt: fog\nSteps: 24, Sampler: Euler a, CFG scale: 7, Seed: 5, Model: moss\n"


def test_of_generation_data_beside_an_image_only_the_positive_prompt_is_taken(tmp_path: Path) -> None:
    image = tmp_path / "a.png"
    assert prompt_of(image, "", {}) == ""
    (tmp_path / "a.txt").write_text("newt, moss", "utf-8")
    assert prompt_of(image, "", {}) == "newt, moss"
    (tmp_path / "a.txt").write_text(INFOTEXT, "utf-8")
    assert prompt_of(image, "", {}) == "a newt"
    assert prompt_of(image, "its own", {}) == "its own"
    assert prompt_of(image, "its own", {image.resolve(): "the table's"}) == "the table's"
