"""`keepers scan --engine ray` as a command: what it needs, what it refuses, and what it says."""

from __future__ import annotations

import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

from keepers.tests.cluster.world import picture

pytest.importorskip("ray")

from keepers.cli.app import app
from keepers.cluster.running.connect import ClusterError, advice, connected
from keepers.cluster.running.job import Finished, Sources
from keepers.cluster.running.settle import Counts
from keepers.cluster.running.task import Task

WITHOUT = (
    "import sys\nfor name in {names!r}: sys.modules[name] = None\nfrom keepers.__main__ import main\nsys.exit(main())"
)


def keepers(*line: object, without: tuple[str, ...] = ()) -> tuple[int, str]:
    """Exit code, and all that was said, in one line."""
    code = WITHOUT.format(names=without)
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, line)], capture_output=True, text=True, timeout=300, check=False
    )
    return done.returncode, " ".join((done.stdout + done.stderr).split())


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        picture(number).save(folder / f"{number}.png")
    (folder / "cut.png").write_bytes((folder / "0.png").read_bytes()[:300])
    return folder


def test_it_says_what_is_not_installed(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, said = keepers("scan", images, "--engine", "ray", "--out", out, without=("ray",))
    assert code == 1 and said.startswith("error: Ray is not installed") and 'pip install "keepers[ray]"' in said
    both = ("ray", "pyarrow")
    for line in (("plan", "-n", 10, "--cpus", 2), ("report", "s3://bucket/out", "-o", tmp_path / "page.html")):
        code, said = keepers(*line, without=both)
        assert code == 1 and "pip install" in said and "keepers[ray]" in said, said
    code, said = keepers("scan", images, "--no-db", without=both)
    assert code == 3 and "4 images" in said, "the plain scan needs neither"
    assert not out.exists()


def test_options_that_would_not_be_heeded_are_refused(images: Path, tmp_path: Path) -> None:
    ray = ("scan", images, "--engine", "ray")
    for line, expected in (
        (ray, "say where with --out"),
        ((*ray, "--out", tmp_path / "o", "--report", "page.html"), "--report goes with the plain engine only"),
        ((*ray, "--out", tmp_path / "o", "--sort", "sorted"), "--sort goes with the plain engine only"),
        ((*ray, "--out", tmp_path / "o", "--tagger", "coherence"), "coherence is no tagger"),
        (("scan", images, "--out", tmp_path / "o"), "--out goes with --engine ray only"),
        (("scan", "s3://bucket/images"), "s3://bucket/images is an address; only --engine ray reads addresses"),
        ((*ray, "--out", tmp_path / "o", "--gate", "accept: nobody.good > 1"), "There is no model 'nobody'"),
    ):
        code, said = keepers(*line)
        assert code == 1 and expected in said, said
        assert "Traceback" not in said


def test_the_whole_command(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ("scan", images, f"{images}/nothing.png", "--engine", "ray", "--out", out)
    code, said = keepers(*line)
    assert code == 3, "two could not be read"
    for expected in ("scan 5, skip 0", "5 listed", "accept 3", "error 2", "errors could not be read", str(out)):
        assert expected in said, said
    assert "Traceback" not in said and "WARNING" not in said and "(raylet)" not in said
    code, said = keepers("report", out, "-o", tmp_path / "page.html")
    assert code in (0, 3) and (tmp_path / "page.html").stat().st_size > 10_000, said
    code, said = keepers(*line, "--gate", "accept: signals.ok >= 0.5")
    assert code == 1 and "holds results of another scan: the gate there is" in said


def test_workers_of_a_running_cluster_have_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So no path may reach them as the user wrote it."""
    told: list[tuple[Task, Sources, str]] = []

    def scanned(task: Task, sources: Sources, where: str, *_: object) -> Finished:
        told.append((task, sources, where))
        return Finished(Counts())

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("keepers.cluster.running.connect.connected", lambda _: nullcontext(()))
    monkeypatch.setattr("keepers.cluster.running.job.run_scan", scanned)
    given = ["pictures", "@list.txt", "s3://bucket/a", "@s3://bucket/list", "--engine", "ray", "--out", "out"]
    named = ["--models", "weights", "--weights", "a.pth=b.pth"]
    assert CliRunner().invoke(app, ["scan", *given, *named]).exit_code == 0
    [(task, sources, where)] = told
    at = str(tmp_path)
    assert sources.uris == [f"{at}/pictures", f"@{at}/list.txt", "s3://bucket/a", "@s3://bucket/list"]
    assert where == f"{at}/out" and task.weights.explicit == {"a.pth": tmp_path / "b.pth"}
    assert task.weights.folders[0] == tmp_path / "weights"
    assert all(folder.is_absolute() for folder in task.weights.folders)


def test_verdicts_that_hang_on_stray_numbers_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[int, str]] = []
    for unsure, strayed in ((2, ["dear.good was 0.9 at fast"]), (0, ["dear.good was 0.9 at fast"]), (0, [])):
        finished = Finished(Counts(listed=4, accept=4, unsure=unsure), strayed=strayed)
        monkeypatch.setattr("keepers.cluster.running.connect.connected", lambda _: nullcontext(()))
        monkeypatch.setattr("keepers.cluster.running.job.run_scan", lambda *_, finished=finished: finished)
        found = CliRunner().invoke(app, ["scan", "a", "--engine", "ray", "--out", "out"])
        told.append((found.exit_code, found.output))
    assert [code for code, _ in told] == [3, 0, 0]
    assert ["dear.good was 0.9 at fast" in said for _, said in told] == [True, True, False]
    said = told[0][1]
    assert "2 were judged by such numbers, and may be wrong" in said and "run the same command again" in said, said
    assert not any("may be wrong" in said for _, said in told[1:])


def test_clusters_that_cannot_be_joined() -> None:
    mismatch = RuntimeError("Version mismatch: The cluster was started with:\\n    Ray: 2.9.0\\n    Python: 3.10.1")
    assert "another version of Ray or Python" in advice("10.0.0.1:6379", mismatch)
    assert "Ray: 2.9.0" in advice("10.0.0.1:6379", mismatch)
    assert "There is no Ray cluster at auto" in advice("auto", ConnectionError("Could not find any running Ray"))


@pytest.mark.parametrize("version", ["1.13.0", "2.54.1"])
def test_a_ray_that_trusts_parquet_is_refused(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import ray

    monkeypatch.setattr(ray, "__version__", version)
    with pytest.raises(ClusterError, match=rf"Ray {version} is older than 2.55. Update it: pip install"), connected():
        pytest.fail("it went on")
