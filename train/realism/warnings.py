"""What users should know about their images before they trust a detector trained on them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable

from .collect import Collected, Sample
from .split import Split

FEW = 100
"""Images per class below which accuracy says little."""
UNEQUAL = 1.5
"""The largest ratio of class sizes that needs no warning."""
TELLING = 0.9
"""If one property alone gives away the class of this share of images, a detector will likely learn just that."""


def warnings(collected: Collected, split: Split, size: int) -> list[str]:
    """One or two sentences each; `size` is the side of the detector's window in pixels."""
    return [
        *_about_counts(collected),
        *_about_giveaways(collected),
        *_about_small(collected, size),
        *_about_groups(collected, split),
    ]


def _about_counts(collected: Collected) -> list[str]:
    found: list[str] = []
    named = dict(zip(collected.classes, collected.counts(), strict=True))
    listed = ", ".join(f"{name} {count:,}" for name, count in named.items())
    if max(named.values()) > UNEQUAL * min(named.values()):
        found.append(f"The classes are unequal ({listed}): each image of a smaller class counts for more in training.")
    if min(named.values()) < FEW:
        found.append(f"Few images ({listed}): expect wide intervals, and a detector that knows only these.")
    return found


def _about_giveaways(collected: Collected) -> list[str]:
    found: list[str] = []
    properties: tuple[tuple[str, Callable[[Sample], Hashable], str], ...] = (
        ("file formats", lambda sample: sample.format, "its traces of compression"),
        ("picture sizes", lambda sample: (sample.width, sample.height), "what depends on size"),
    )
    for what, of, learns in properties:
        share, common = _told_by(collected, of)
        if share >= TELLING and share - _guess(collected) >= 0.1:
            kinds = "; ".join(f"{name}: {_say(kind)}" for name, kind in common.items())
            found.append(
                f"The {what} alone tell the class of {share:.0%} of the images ({kinds}). A detector may learn "
                f"{learns} instead of what you mean. Better: bring all classes into the same form first."
            )
    return found


def _told_by(collected: Collected, of: Callable[[Sample], Hashable]) -> tuple[float, dict[str, Hashable]]:
    """The share of images whose class a property gives away, and each class's most common value of it."""
    by_value: defaultdict[Hashable, Counter[int]] = defaultdict(Counter)
    by_class: defaultdict[int, Counter[Hashable]] = defaultdict(Counter)
    for sample in collected.samples:
        by_value[of(sample)][sample.label] += 1
        by_class[sample.label][of(sample)] += 1
    # A value that only one image has gives nothing away: every image may have a size of its own.
    right = sum(max(counts.values()) for counts in by_value.values() if sum(counts.values()) > 1)
    common = {name: by_class[label].most_common(1)[0][0] for label, name in enumerate(collected.classes)}
    return right / len(collected.samples), common


def _guess(collected: Collected) -> float:
    return max(collected.counts()) / len(collected.samples)


def _say(kind: Hashable) -> str:
    return f"mostly {kind[0]}x{kind[1]}" if isinstance(kind, tuple) else f"mostly {kind}"


def _about_small(collected: Collected, size: int) -> list[str]:
    small = Counter(s.label for s in collected.samples if min(s.width, s.height) < size)
    if not small:
        return []
    listed = ", ".join(f"{name} {small[label]:,}" for label, name in enumerate(collected.classes))
    return [f"Pictures smaller than {size} pixels get black borders ({listed}), which may give their class away."]


def _about_groups(collected: Collected, split: Split) -> list[str]:
    found: list[str] = []
    if collected.shared:
        found.append(f"{len(collected.shared):,} pairs of files are in two classes, and were left out of both.")
    if collected.repeated:
        found.append(f"{collected.repeated:,} files repeat another of their class, and were left out.")
    if split.largest > max(20, len(collected.samples) // 10):
        found.append(
            f"{split.largest:,} images are one group of near-duplicates, or of names with the same number, and stay in "
            "one part together."
        )
    return found
