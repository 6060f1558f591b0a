"""Related images stay together, and what gives their class away is reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keepers.core.errors import KeepersError
from keepers.train.realism.collect import Collected, Sample
from keepers.train.realism.split import related, split
from keepers.train.realism.warnings import warnings


def sample(name: str, label: int, content: str, bits: int) -> Sample:
    return Sample(Path(name), label, content, bits, 100, 100, "PNG")


def far_hashes(count: int) -> list[int]:
    return [int(bits) for bits in np.random.RandomState(3).randint(0, 2**63, count, dtype=np.uint64)]


def test_related_images_share_a_part() -> None:
    hashes = far_hashes(300)
    samples = [sample(f"real/r-{n:05d}.jpg", 0, f"a{n:063d}", hashes[n]) for n in range(100)]
    samples += [sample(f"ai/x_{n:05d}_.png", 1, f"b{n:063d}", hashes[100 + n]) for n in range(100)]
    samples += [
        sample(f"ai/near{chr(97 + n % 26)}{n}n.png", 1, f"c{n:063d}", hashes[100 + n] ^ 0b101) for n in range(100)
    ]
    groups = related(samples)
    assert (groups[:100] == groups[100:200]).all() and (groups[100:200] == groups[200:]).all()
    assert len(set(groups.tolist())) == 100
    parts = split(Collected(("real", "ai"), tuple(samples)))
    owner = {}
    for name, places in (("train", parts.train), ("validation", parts.validation), ("test", parts.test)):
        for place in places:
            assert owner.setdefault(int(groups[place]), name) == name
    assert len(parts.test) == pytest.approx(30, abs=4) and len(parts.validation) == pytest.approx(30, abs=4)
    assert parts.across == 100


def test_parts_hang_on_contents_not_on_names_or_order() -> None:
    hashes = far_hashes(80)
    samples = [sample(f"a/{chr(97 + n % 26)}{n}q.png", n % 2, f"{n * 7919 % 1000:064d}", hashes[n]) for n in range(80)]
    moved = [replace(one, path=Path(f"b/{one.content[-4:]}zz.png")) for one in reversed(samples)]
    first, second = (split(Collected(("x", "y"), tuple(listed))) for listed in (samples, moved))
    for name in ("train", "validation", "test"):
        contents = [samples[place].content for place in getattr(first, name)]
        assert contents == [moved[place].content for place in getattr(second, name)]
    other = split(Collected(("x", "y"), tuple(samples)), seed=1)
    assert set(other.test.tolist()) != set(first.test.tolist())


def test_smaller_portions_are_parts_of_larger_ones_with_the_same_test() -> None:
    hashes = far_hashes(200)
    samples = tuple(sample(f"{chr(97 + n % 26)}{n}q.png", int(n >= 150), f"{n:064d}", hashes[n]) for n in range(200))
    collected = Collected(("x", "y"), samples)
    whole = split(collected)
    before: set[int] = set()
    for share in (0.5, 0.6, 0.7, 0.8, 0.9):
        part = whole.portion(collected, share)
        now = set(part.train.tolist())
        assert before <= now and not now & set(part.test.tolist())
        assert len(part.train) + len(part.validation) == pytest.approx(share * 200, abs=1)
        assert np.array_equal(part.test, whole.test)
        minor = sum(samples[place].label for place in part.train) / len(part.train)
        assert minor == pytest.approx(0.25, abs=0.03)
        before = now


def test_nothing_but_near_duplicates_leaves_nothing_to_test_on() -> None:
    samples = [sample(f"a{n}q.png", 0, f"{n:064d}", 5) for n in range(10)]
    samples += [sample(f"b{n}q.png", 1, f"{n + 50:064d}", bits) for n, bits in enumerate(far_hashes(10))]
    with pytest.raises(KeepersError, match="'same' has too few unrelated images"):
        split(Collected(("same", "other"), tuple(samples)))


def test_giveaways_are_told() -> None:
    hashes = far_hashes(400)
    samples = [
        Sample(Path(f"{chr(97 + n % 26)}{n}q"), int(n >= 150), f"{n:064d}", hashes[n], *size, form)
        for n in range(400)
        for size, form in [((640, 480), "JPEG") if n < 150 else ((1024, 1024), "PNG")]
    ]
    collected = Collected(("real", "ai"), tuple(samples))
    told = " ".join(warnings(collected, split(collected), 700))
    assert "file formats alone tell the class of 100%" in told and "real: mostly JPEG; ai: mostly PNG" in told
    assert "picture sizes alone" in told and "640x480" in told
    assert "unequal (real 150, ai 250)" in told
    assert "smaller than 700 pixels" in told and "real 150, ai 0" in told
    alike = [replace(one, width=512, height=512, format="PNG") for one in samples[:100] + samples[150:250]]
    quiet = Collected(("real", "ai"), tuple(alike))
    assert warnings(quiet, split(quiet), 224) == []
