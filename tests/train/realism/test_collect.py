"""The images of a training: what cannot be used is left out with its reason, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keepers.core.errors import KeepersError
from keepers.train.realism.collect import collect


def save(path: Path, seed: int, size: tuple[int, int] = (40, 40)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.RandomState(seed).randint(0, 256, (*size, 3), dtype=np.uint8)).save(path)


def test_bad_files_are_told_and_left_out(tmp_path: Path) -> None:
    for n in range(6):
        save(tmp_path / "a" / f"{n}.png", n)
        save(tmp_path / "b" / f"{n}.png", 100 + n)
    broken = (tmp_path / "a" / "3.png").read_bytes()
    (tmp_path / "a" / "3.png").write_bytes(broken[: len(broken) // 2])
    (tmp_path / "b" / "empty.png").write_bytes(b"")
    save(tmp_path / "b" / "again.png", 100)
    found = collect({"a": [tmp_path / "a"], "b": [tmp_path / "b"]})
    assert {path.name for path, _ in found.unread} == {"3.png", "empty.png"}
    assert found.counts() == (5, 6) and found.repeated == 1


@pytest.mark.parametrize(("count", "told"), [(0, "has no image files"), (1, "only 1 image files")])
def test_a_class_with_too_few_images_is_refused(count: int, told: str, tmp_path: Path) -> None:
    for n in range(5):
        save(tmp_path / "a" / f"{n}.png", n)
    (tmp_path / "b").mkdir()
    for n in range(count):
        save(tmp_path / "b" / f"{n}.png", 50 + n)
    with pytest.raises(KeepersError, match=told):
        collect({"a": [tmp_path / "a"], "b": [tmp_path / "b"]})


def test_classes_that_share_images_are_refused_unless_forced(tmp_path: Path) -> None:
    for n in range(6):
        save(tmp_path / "a" / f"{n}.png", n)
        save(tmp_path / "b" / f"x{n}.png", 100 + n)
    (tmp_path / "b" / "copy.png").write_bytes((tmp_path / "a" / "2.png").read_bytes())
    named = {"a": [tmp_path / "a"], "b": [tmp_path / "b"]}
    with pytest.raises(KeepersError, match=r"share images: 2 files.*--force"):
        collect(named)
    found = collect(named, force=True)
    assert found.counts() == (5, 6) and len(found.shared) == 1
    assert {"copy.png", "2.png"}.isdisjoint(one.path.name for one in found.samples)
