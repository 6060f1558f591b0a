"""From a cold process to the first verdict, and where the time goes."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from keepers.examples.pictures import mountains

from .coherence import write_weights

ROUNDS = 5
CODE = """
import sys, time
start = time.perf_counter()
marks = []
def mark(name):
    global start
    now = time.perf_counter()
    marks.append(f"{name} {now - start:.3f}")
    start = now
from keepers.core.judging.case import Subject
from keepers.core.judging.judge import Judge
from keepers.core.gates.gate import Gate
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.core.pictures.open import open_image
from keepers.models.registry import REGISTRY
mark("keepers")
import torch
mark("torch")
if sys.argv[3] == "coherence":
    import torchvision
    mark("torchvision")
from pathlib import Path
judge = Judge(REGISTRY, WeightStore([Path(sys.argv[1])]), Runtime(device="cpu"))
judge.classifier(sys.argv[3])
mark("model")
gate = Gate.parse(REGISTRY.spec(sys.argv[3]).gate)
judge.judge([Subject(lambda: open_image(Path(sys.argv[2])))], gate)
mark("verdict")
print(";".join(marks))
"""


def main() -> None:
    """Print the median seconds of every step, for the model without files and for one with."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_weights(folder)
        mountains((1024, 1024)).save(folder / "picture.png")
        for model in ("signals", "coherence"):
            times: dict[str, list[float]] = {}
            for _ in range(ROUNDS):
                command = [sys.executable, "-c", CODE, str(folder), str(folder / "picture.png"), model]
                out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
                for part in out.strip().split(";"):
                    step, seconds = part.split()
                    times.setdefault(step, []).append(float(seconds))
            medians = {step: statistics.median(found) for step, found in times.items()}
            steps = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in medians.items())
            print(f"{model}: {sum(medians.values()):.2f} s to the first verdict: {steps}")


if __name__ == "__main__":
    main()
