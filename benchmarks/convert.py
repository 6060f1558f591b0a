"""Converting a furry SavedModel: seconds, and memory relative to its tensor data.

python -m keepers.benchmarks.convert [ZIP OR FOLDER …]

Without arguments, it makes a SavedModel of ConvNeXt-T's size from random numbers.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from keepers.models.furry.convert import convert
from keepers.models.furry.labels import GROUPS, built_in_tags
from keepers.models.savedmodel.crc import crc32c


def main() -> None:
    """Print one line for each SavedModel, each converted by a process of its own."""
    if sys.argv[1:2] == ["--one"]:
        one(Path(sys.argv[2]))
        return
    data = bytes(64 << 20)
    start = perf_counter()
    crc32c(data)
    print(f"checksum {64 / (perf_counter() - start):.0f} MB a second")
    with TemporaryDirectory() as folder:
        given = [path for path in sys.argv[1:] if Path(path).exists()]
        for path in given or [made_up(Path(folder) / "convnext_tiny_224_5")]:
            command = [sys.executable, "-m", "keepers.benchmarks.convert", "--one", str(path)]
            subprocess.run(command, check=True)


def made_up(folder: Path) -> Path:
    """A SavedModel of random numbers, as large as the published ConvNeXt."""
    import timm

    from keepers.tests.models.savedmodel.writer import convnext_variables, layers_of, write_savedmodel

    heads = {group: len(built_in_tags()[group]) for group in GROUPS}
    variables = convnext_variables(timm.create_model("convnext_tiny", num_classes=0), heads, 256)
    return write_savedmodel(folder, variables, layers_of(224, heads, 256))


def peak() -> float:
    """The largest resident memory of this program so far, in MB, mapped files included.

    Not getrusage: after a fork, that includes the peak of the parent program.
    """
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def one(path: Path) -> None:
    """Convert one; memory taken by the imports is subtracted."""
    import timm
    import torch

    del timm, torch
    before = peak()
    with TemporaryDirectory() as folder:
        start = perf_counter()
        made = convert(path, Path(folder) / "x.safetensors")
        seconds = perf_counter() - start
        written = made.path.stat().st_size / 1e6
    data = sum(file.stat().st_size for file in path.rglob("variables.data-*")) / 1e6 if path.is_dir() else written
    more = peak() - before
    print(f"{path.name}: {seconds:.1f} s, {data:.0f} MB of tensor data, {written:.0f} MB written, ", end="")
    print(f"memory beyond the imports {more:.0f} MB, {more / data:.2f}x the data")


if __name__ == "__main__":
    main()
