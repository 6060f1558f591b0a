"""The images of a training: each is read once, with what is needed to keep related ones together."""

from __future__ import annotations

import hashlib
import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from ...core.errors import KeepersError, UnreadableImage, one_line
from ...core.pictures.open import open_image, read_image_file
from ...core.pictures.phash import hash_words, join_words
from ...core.pictures.walk import Found, Search, walk

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FEWEST = 3
"""Independent images a class needs: one each for training, validation and test."""
IDENT = re.compile(r"(\d{4,})_?$")
"""The number at the end of a file name: real-00042.jpg and ai-00042.png show the same thing."""
AHEAD = 64


@dataclass(frozen=True)
class Sample:
    """One image of one class."""

    path: Path
    label: int
    """The position of its class."""
    content: str
    """sha256 of the file, hex."""
    bits: int
    """The perceptual hash, 64 bits."""
    width: int
    height: int
    format: str
    """The file's own format: "PNG", "JPEG"."""

    @property
    def ident(self) -> str:
        """The number that pairs it with images of other classes; empty if the name does not end in one."""
        found = IDENT.search(self.path.stem)
        return found[1].lstrip("0") or "0" if found else ""


@dataclass(frozen=True)
class Collected:
    """All images of a training in a fixed order: class by class, by path."""

    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    unread: tuple[tuple[Path, str], ...] = ()
    """Files that could not be used, with the reason."""
    repeated: int = 0
    """How many files were left out because their class already has the same content."""
    shared: tuple[tuple[Path, Path], ...] = ()
    """Pairs of files of different classes with the same content; left out of both."""

    def counts(self) -> tuple[int, ...]:
        """The number of images in each class."""
        found = Counter(sample.label for sample in self.samples)
        return tuple(found[label] for label in range(len(self.classes)))


Keep = Callable[[Image.Image], "NDArray[np.uint8]"]
Take = Callable[["NDArray[np.uint8]"], object]


def listed(folders: Mapping[str, Sequence[Path]]) -> tuple[list[tuple[Found, int]], list[tuple[Path, str]]]:
    """The image files of each class, sorted, and the files passed over. Raises KeepersError for missing folders."""
    files: list[tuple[Found, int]] = []
    passed: list[tuple[Path, str]] = []
    for label, (name, paths) in enumerate(folders.items()):
        for path in paths:
            if not path.is_dir():
                raise KeepersError(f"The folder of class {name!r} does not exist: {one_line(str(path))}")
        found = list(walk(paths, Search()))
        files += sorted(((one, label) for one in found if isinstance(one, Found)), key=lambda pair: str(pair[0].path))
        passed += [(one.path, one.reason) for one in found if not isinstance(one, Found)]
    return files, passed


def collect(
    folders: Mapping[str, Sequence[Path]],
    *,
    force: bool = False,
    keep: Keep | None = None,
    take: Take | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    threads: int = 4,
) -> Collected:
    """Reads every image of every class.

    `keep` makes the training pixels of each picture; `take` receives them in the order of the samples.

    Raises KeepersError for a class with too few images, and, unless `force`d, for classes that share files.
    """
    files, unread = listed(folders)
    classes = tuple(folders)
    _require_files(classes, files)
    seen: dict[str, Sample] = {}
    looked: list[tuple[Sample, NDArray[np.uint8] | None]] = []
    repeated, shared = 0, _shared(files)
    barred = {path for pair in shared for path in pair}
    if shared and not force:
        raise KeepersError(_shared_text(classes, shared, files))
    for done, (found, result) in enumerate(_looked_at(files, keep, threads), 1):
        progress(done, len(files))
        if isinstance(result, str):
            unread.append((found.path, result))
        elif found.path in barred:
            continue
        elif result[0].content in seen:
            repeated += 1
        else:
            seen[result[0].content] = result[0]
            looked.append((result[0], None))
            if take and result[1] is not None:
                take(result[1])
    samples = tuple(sample for sample, _ in looked)
    collected = Collected(classes, samples, tuple(unread), repeated, tuple(shared))
    _require_enough(collected)
    return collected


def _looked_at(
    files: Sequence[tuple[Found, int]], keep: Keep | None, threads: int
) -> Iterator[tuple[Found, tuple[Sample, NDArray[np.uint8] | None] | str]]:
    """Each file in order, with its sample and pixels, or the reason why it cannot be used."""
    with ThreadPoolExecutor(threads, thread_name_prefix="keepers-train") as pool:
        waiting = iter(files)
        ahead: list[tuple[Found, Future[tuple[Sample, NDArray[np.uint8] | None] | str]]] = []
        try:
            while True:
                for found, label in islice(waiting, AHEAD - len(ahead)):
                    ahead.append((found, pool.submit(_look, found.path, label, keep)))
                if not ahead:
                    return
                found, future = ahead.pop(0)
                yield found, future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _look(path: Path, label: int, keep: Keep | None) -> tuple[Sample, NDArray[np.uint8] | None] | str:
    try:
        data = read_image_file(path)
        image = open_image(data, name=str(path))
        grey = image.convert("L")
        bits = int(join_words(hash_words(grey.reduce(max(1, min(grey.size) // 256)))))
        sample = Sample(path, label, hashlib.sha256(data).hexdigest(), bits, *image.size, _format(data))
        return sample, keep(image) if keep else None
    except UnreadableImage as error:
        return error.detail
    except (OSError, ValueError, MemoryError) as error:
        return one_line(f"{type(error).__name__}: {error}")


def _format(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as picture:
        return picture.format or ""


def _shared(files: Sequence[tuple[Found, int]]) -> list[tuple[Path, Path]]:
    """Pairs of files of different classes with the same bytes; only files of equal size are read."""
    by_size: dict[int, list[tuple[Path, int]]] = {}
    for found, label in files:
        by_size.setdefault(found.size, []).append((found.path, label))
    pairs: list[tuple[Path, Path]] = []
    for group in by_size.values():
        if len({label for _, label in group}) > 1:
            pairs += _equal(group)
    return sorted(pairs)


def _equal(group: Sequence[tuple[Path, int]]) -> list[tuple[Path, Path]]:
    by_content: dict[str, list[tuple[Path, int]]] = {}
    for path, label in group:
        try:
            digest = hashlib.sha256(read_image_file(path)).hexdigest()
        except UnreadableImage:
            continue  # reported when it is read again
        by_content.setdefault(digest, []).append((path, label))
    pairs: list[tuple[Path, Path]] = []
    for same in by_content.values():
        first, label = same[0]
        others = [path for path, other in same if other != label]
        pairs += [(first, path) for path in others]
        pairs += [(path, others[0]) for path, other in same[1:] if other == label and others]
    return pairs


def _shared_text(
    classes: Sequence[str], shared: Sequence[tuple[Path, Path]], files: Sequence[tuple[Found, int]]
) -> str:
    label = {found.path: classes[place] for found, place in files}
    first, second = shared[0]
    example = f"{one_line(str(first))} ({label[first]}) and {one_line(str(second))} ({label[second]})"
    count = len({path for pair in shared for path in pair})
    return (
        f"The classes share images: {count} files are in more than one, such as {example}. "
        "Remove them from one class, or train without them with --force."
    )


def _require_files(classes: Sequence[str], files: Sequence[tuple[Found, int]]) -> None:
    if len(classes) < 2:
        raise KeepersError("A detector tells at least two classes apart: give --class NAME=FOLDER at least twice.")
    found = Counter(label for _, label in files)
    for label, name in enumerate(classes):
        if found[label] < FEWEST:
            raise KeepersError(_too_few(name, found[label], "image files"))


def _require_enough(collected: Collected) -> None:
    for name, count in zip(collected.classes, collected.counts(), strict=True):
        if count < FEWEST:
            raise KeepersError(_too_few(name, count, "different readable images"))


def _too_few(name: str, count: int, what: str) -> str:
    have = f"only {count}" if count else "no"
    return (
        f"Class {name!r} has {have} {what}. At least {FEWEST} are needed to train, validate and test; "
        "a few hundred to be of use."
    )
