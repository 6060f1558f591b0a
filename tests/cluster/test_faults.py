"""What happens to a scan on Ray when workers, machines or the command itself are killed: none lost, none twice."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("ray")

from ray.cluster_utils import Cluster

from keepers.cluster.output.output import IMAGES
from keepers.cluster.running import job
from keepers.cluster.running.alone import CRASHED
from keepers.cluster.running.connect import ClusterError, connected, nodes
from keepers.cluster.running.job import Sources, Workers, run_scan
from keepers.collection.store import Store
from keepers.core.gates.gate import Gate
from keepers.models.presets import PRESETS
from keepers.tests.cluster.world import PLACED, SLOWLY, Watch, image_rows, make_images, picture, plain, registry, task

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="kills processes by what /proc tells")
MANY = 160
"""Pictures, of which a net takes five seconds."""
LONG = 480
"""Pictures for the command that is stopped: decoding them takes as long."""
os.environ.setdefault("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)  # for clusters that a test starts itself


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    make_images(folder, MANY)
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    registry(folder)
    return folder


def verdicts(out: Path) -> dict[str, tuple[str, str, str]]:
    return {name: (row.verdict.outcome, row.verdict.reason, row.image.content) for name, row in image_rows(out).items()}


def expected(images: Path, models: Path, gate: str, db: Path) -> dict[str, tuple[str, str, str]]:
    with Store(db) as store:
        scanned = plain(images, models, store, gate)
    return {str(one.path): (one.verdict.outcome, one.verdict.reason, one.image.content) for one in scanned}


class Terrible(Watch):
    """Does something terrible each time that something is written, as long as there is something left to do."""

    def __init__(self, *acts: Callable[[], None]) -> None:
        super().__init__()
        self.acts = list(acts)

    def done(self, counts: Mapping[str, int]) -> None:
        super().done(counts)
        if self.acts:
            self.acts.pop(0)()


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """Every process below one, with its title."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                above = int(entry.name)
                while above > 1 and above != pid:
                    above = int((Path("/proc") / str(above) / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, ValueError):
                continue
            if above == pid:
                yield int(entry.name), title


def kill_workers(of: str) -> None:
    killed = [pid for pid, title in descendants(os.getpid()) if f"MapBatches({of})" in title]
    assert killed, f"no {of} is at work"
    for pid in killed:
        os.kill(pid, signal.SIGKILL)


def test_killed_nets_and_writers_lose_nothing(images: Path, models: Path, tmp_path: Path) -> None:
    watch = Terrible(partial(kill_workers, "Classify"), partial(kill_workers, "Write"))
    with connected() as found:
        finished = run_scan(
            task(models, SLOWLY), Sources([str(images)]), str(tmp_path / "out"), found, Workers(), watch
        )
    assert watch.acts == []
    assert finished.counts.missing == 0
    assert verdicts(tmp_path / "out") == expected(images, models, SLOWLY, tmp_path / "plain.db")


def test_what_kills_its_process_each_time_is_an_error(
    images: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray itself would begin anew for ever."""
    monkeypatch.setattr(job, "RETRIES", 1)
    given = task(models, "accept: deadly.good >= 0.5")
    with connected() as found:
        finished = run_scan(given, Sources([str(images)]), str(tmp_path / "out"), found, Workers(), Watch())
    rows = image_rows(tmp_path / "out")
    crashed = {Path(name).name for name, row in rows.items() if row.error == CRASHED}
    assert crashed == {"black.png"}
    assert {row.verdict.outcome for row in rows.values() if row.error} == {"review"}
    assert finished.counts.missing == 0 and finished.counts.accept > MANY


def test_a_net_that_dies_of_everything_ends_the_scan(
    images: Path, models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job, "RETRIES", 1)
    monkeypatch.setattr(job, "LATER", 1)
    given = task(models, "accept: deadly.good >= 0.5")
    (tmp_path / "black").mkdir()
    for number in range(MANY):
        shutil.copy(images / "black.png", tmp_path / "black" / f"{number}.png")
    with connected() as found, pytest.raises(ClusterError, match="died again and again"):
        run_scan(given, Sources([str(tmp_path / "black")]), str(tmp_path / "out"), found, Workers(), Watch())


def test_killed_readers_lose_nothing(models: Path, tmp_path: Path) -> None:
    images, gate = big(tmp_path / "images", LONG), 'reject: signals.label == "black"'
    watch = Terrible(partial(kill_workers, "Look"))
    with connected() as found:
        finished = run_scan(task(models, gate), Sources([str(images)]), str(tmp_path / "out"), found, Workers(), watch)
    assert watch.acts == []
    assert finished.counts.missing == 0
    assert verdicts(tmp_path / "out") == expected(images, models, gate, tmp_path / "plain.db")


def test_a_killed_machine_loses_nothing(images: Path, models: Path, tmp_path: Path) -> None:
    """Three nodes, each a set of processes of its own; one of those with workers is gone in the middle."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 3, "include_dashboard": False})
    others = [cluster.add_node(num_cpus=2) for _ in range(2)]
    cluster.wait_for_nodes()
    watch = Terrible(lambda: cluster.remove_node(others[0], allow_graceful=False))
    try:
        with connected(str(cluster.address)) as found:
            assert len(found) == 3
            workers = Workers(actors=3)
            finished = run_scan(
                task(models, SLOWLY), Sources([str(images)]), str(tmp_path / "out"), found, workers, watch
            )
            assert len(nodes()) == 2
    finally:
        cluster.shutdown()
    assert watch.acts == []
    assert finished.counts.missing == 0
    assert verdicts(tmp_path / "out") == expected(images, models, SLOWLY, tmp_path / "plain.db")


def test_nets_go_where_the_gpus_are(images: Path, models: Path, tmp_path: Path) -> None:
    """The GPUs are promised to Ray, not there: who is placed where is Ray's affair, and what is computed is ours."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 4, "num_gpus": 0, "include_dashboard": False})
    cards = cluster.add_node(num_cpus=1, num_gpus=2)
    cluster.wait_for_nodes()
    given = task(models, "accept: placed.good >= 0.5", device="auto", precision="auto")
    try:
        with connected(str(cluster.address)) as found:
            assert sum(node.gpus for node in found) == 2
            workers = Workers(gpus_per_actor=0.5)
            finished = run_scan(given, Sources([str(images)]), str(tmp_path / "out"), found, workers, Watch())
    finally:
        cluster.shutdown()
    notes = [one.name.removeprefix(PLACED).split("-") for one in models.glob(f"{PLACED}*")]
    assert {node for node, _ in notes} == {cards.node_id}
    assert len({process for _, process in notes}) >= 4
    assert finished.counts.missing == 0 and finished.counts.accept > MANY


def command(images: Path, out: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "keepers", "scan", str(images), "--engine", "ray", "--out", str(out)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def first_part(out: Path, running: subprocess.Popen[str]) -> None:
    """Waits until something is written."""
    end = time.monotonic() + 300
    while not list((out / IMAGES).glob("*.parquet")):
        if running.poll() is not None or time.monotonic() > end:
            running.kill()
            pytest.fail(f"it wrote nothing: {running.communicate()[0]}")
        time.sleep(0.02)


def big(folder: Path, count: int) -> Path:
    """Pictures that take the signals a while."""
    folder.mkdir()
    for number in range(16):
        picture(number, (1400, 1000)).save(folder / f"{number:04}.jpg")
    for number in range(16, count):
        shutil.copy(folder / f"{number % 16:04}.jpg", folder / f"{number:04}.jpg")
    return folder


@pytest.mark.parametrize("blow", [signal.SIGINT, signal.SIGKILL])
def test_it_goes_on_after_the_command_was_stopped(blow: signal.Signals, tmp_path: Path) -> None:
    images, out = big(tmp_path / "images", LONG), tmp_path / "out"
    running = command(images, out)
    first_part(out, running)
    running.send_signal(blow)
    said = running.communicate(timeout=120)[0]
    before = verdicts(out)
    assert 0 < len(before) < LONG, said
    if blow == signal.SIGINT:
        assert running.returncode == 130 and "goes on from there" in said
    again = command(images, out)
    said = again.communicate(timeout=300)[0]
    assert again.returncode == 0, said
    skipped = int(re.search(r"skip (\d+)", said)[1])  # pyright: ignore[reportOptionalSubscript]
    assert len(before) <= skipped < LONG, "a dying worker may still write"
    assert f"{LONG} listed" in said
    gate = str(Gate.parse(PRESETS["signals"].gate))
    assert verdicts(out) == expected(images, tmp_path, gate, tmp_path / "plain.db")
