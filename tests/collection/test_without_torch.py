"""What needs no net never imports torch: it takes longer than the rest of a small scan together."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from keepers.collection.scan import Scan
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.pictures.walk import Found, walk
from keepers.tests import tiny

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "images"
HEAVY = ("torch", "torchvision", "timm")

COMMANDS = """
import json, sys
from keepers.__main__ import main

codes = []
for arguments in json.loads(sys.argv[1]):
    sys.argv = ["keepers", *arguments]
    try:
        main()
        codes.append(0)
    except SystemExit as end:
        codes.append(end.code or 0)
print(json.dumps({"codes": codes, "heavy": [name for name in %r if name in sys.modules]}))
"""

KNOWN = """
import json, sys
from pathlib import Path
from keepers.collection.scan import ScanOptions, Scan
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.pictures.walk import walk
from keepers.core.prediction import Labels
from keepers.core.runtime import Runtime
from keepers.core.spec import ModelSpec
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.registry import Registry

models, pictures, db, precision, gate = sys.argv[1:]

def never(given):
    raise AssertionError("a net was built")

def spec(name, cost):
    file = WeightFile(name=f"{name}.safetensors", licence="none")
    labels = Labels(("good", "bad"), drifts=(("", 0.02),))
    return ModelSpec(name, name, "", "", "none", never, (file,), cost, labels=lambda: labels)

registry = Registry(spec("cheap", 1), spec("dear", 100))
judge = Judge(registry, WeightStore([Path(models)]), Runtime(precision=precision))
with Store(Path(db)) as store:
    scan = Scan(judge, Gate.parse(gate), store, ScanOptions(details=True))
    results = list(scan.run(scan.plan(walk([Path(pictures)]))))
print(json.dumps({
    "known": sum(one.known for one in results),
    "verdicts": [[one.verdict.outcome, one.verdict.reason, sorted(one.answers)] for one in results],
    "heavy": [name for name in %r if name in sys.modules],
}))
"""

BOTH = "accept: cheap.good >= 0.5 and dear.good >= 0.5"


def run(code: str, *arguments: object) -> dict[str, Any]:
    """What a process of its own prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code % (HEAVY,), *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": str(ROOT / ".venv" / "src"), "PYTHONIOENCODING": "utf-8"},
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def run_commands(*commands: list[object]) -> dict[str, Any]:
    return run(COMMANDS, json.dumps([list(map(str, command)) for command in commands]))


def test_a_scan_for_failed_images_with_all_its_outputs(tmp_path: Path) -> None:
    db = tmp_path / "keepers.db"
    targets = ["--report", tmp_path / "a.html", "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv"]
    scan = ["scan", EXAMPLES, "--db", db]
    found = run_commands(
        [*scan, *targets, "--sort", tmp_path / "sorted"],
        [*scan, *targets],
        [*scan, "--precision", "fast", "--fresh", "--device", "cpu", "--jsonl", tmp_path / "a.jsonl"],
    )
    assert found == {"codes": [3, 3, 3], "heavy": []}  # one of the examples has a broken file
    assert len(json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))) == len(list(EXAMPLES.iterdir()))


def test_what_works_on_known_images(tmp_path: Path) -> None:
    db = tmp_path / "keepers.db"
    found = run_commands(
        ["scan", EXAMPLES, "--db", db, "--sort", tmp_path / "sorted"],
        ["report", EXAMPLES, "--db", db, "--output", tmp_path / "a.html"],
        ["undo", tmp_path / "sorted"],
        ["labels", "--keep", EXAMPLES, "--db", db],
        ["caption", EXAMPLES, "--from", "prompt", "--dry-run", "--no-db"],
        ["tags", EXAMPLES],
        ["models"],
        ["models", "coherence"],
    )
    assert found["heavy"] == []


@pytest.mark.parametrize(
    ("first", "again"), [("exact", "exact"), ("exact", "auto"), ("fast", "fast"), ("fast", "auto")]
)
def test_a_scan_of_known_files(tmp_path: Path, first: str, again: str) -> None:
    """Whatever "auto" means on this machine: no verdict hangs on it."""
    models, pictures, db = tmp_path / "models", tmp_path / "pictures", tmp_path / "keepers.db"
    models.mkdir()
    pictures.mkdir()
    for level in (40, 140, 220):
        tiny.plain(level, level, level).save(pictures / f"{level}.png")
    judge = tiny.judge(tiny.Work(), models, precision=first)
    with Store(db) as store:
        scan = Scan(judge, Gate.parse(BOTH), store)
        made = list(scan.run(scan.plan(one for one in walk([pictures]) if isinstance(one, Found))))
    found = run(KNOWN, models, pictures, db, again, BOTH)
    assert found["heavy"] == []
    assert found["known"] == 3
    assert found["verdicts"] == [[one.verdict.outcome, one.verdict.reason, sorted(one.answers)] for one in made]


def test_another_gate_over_exact_numbers(tmp_path: Path) -> None:
    models, pictures, db = tmp_path / "models", tmp_path / "pictures", tmp_path / "keepers.db"
    models.mkdir()
    pictures.mkdir()
    tiny.plain(220, 220, 220).save(pictures / "bright.png")
    with Store(db) as store:
        scan = Scan(tiny.judge(tiny.Work(), models), Gate.parse(BOTH), store)
        assert len(list(scan.run(scan.plan(one for one in walk([pictures]) if isinstance(one, Found))))) == 1
    for known in (0, 1):
        found = run(KNOWN, models, pictures, db, "auto", "accept: cheap.good >= 0.9")
        assert found["known"] == known
        assert found["heavy"] == []
        assert [verdict[0] for verdict in found["verdicts"]] == ["reject"]
