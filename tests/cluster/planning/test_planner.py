"""`keepers plan`: the arithmetic by hand, what is always true of it, how costs are measured, and the command."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from keepers.cli import exit_codes, gates, machine
from keepers.cli.app import app
from keepers.cluster.planning.costs import Workload, measure_costs
from keepers.cluster.planning.planner import (
    STARTUP,
    Cluster,
    Costs,
    Estimate,
    ModelCost,
    PlanError,
    estimate,
    reaches,
    stages,
)
from keepers.cluster.planning.sample import DRAWN, chosen_files, drawn_files
from keepers.core.gates.gate import Gate
from keepers.core.metadata.read import read_generation
from keepers.core.pictures.open import open_image
from keepers.models.signals import signals
from keepers.tests import tiny

FREE = ModelCost("free", prepare=0.005, processor=0.001, inline=True)
CHEAP = ModelCost("cheap", prepare=0.002, processor=0.030, reach=0.5)
DEAR = ModelCost("dear", prepare=0.003, processor=0.200, reach=0.1)
PLAIN = Costs(0.001, 0.002, 0.010, 0.001, (FREE, CHEAP, DEAR), carry=0.001, bytes=2e6, overhead=0.001, driving=0.0)
ON_GPU = replace(
    PLAIN, models=(FREE, replace(CHEAP, processor=0.002, gpu=0.002), replace(DEAR, processor=0.02, gpu=0.02))
)


def rates(found: Estimate) -> dict[str, float]:
    return {load.stage.name: load.alone for load in found.loads}


def test_stages_cost_what_happens_in_them() -> None:
    first, cheap, again, dear, write = stages(PLAIN)
    assert first.processor == pytest.approx(0.001 + 0.002 + 0.010 + 0.005 + 0.001 + 0.5 * 0.002)
    assert cheap == replace(cheap, name="cheap", share=0.5, gpu=0.0)
    assert cheap.processor == pytest.approx(0.001 + 0.002 + 0.030)  # handed over, with a file of 2 MB, and asked
    assert again.name == "decode for dear" and again.share == 0.1
    assert again.processor == pytest.approx(0.001 + 0.002 + 0.010 + 0.003)
    assert dear.processor == pytest.approx(0.201)  # the last net needs no file
    assert (write.share, write.processor) == (1.0, pytest.approx(0.002))


def test_without_gpus_everything_shares_the_cores() -> None:
    an_image = 0.020 + 0.5 * 0.033 + 0.1 * 0.016 + 0.1 * 0.201 + 0.002
    found = estimate(PLAIN, Cluster(cores=4), 1000)
    assert found.processor == pytest.approx(an_image)
    assert (found.bound, found.binding) == ("cores", "dear")
    assert found.rate == pytest.approx(4 / an_image)
    assert found.seconds == pytest.approx(STARTUP + 1000 * an_image / 4)
    assert sum(load.used for load in found.loads) == pytest.approx(4)
    assert (found.cores_to_fill, found.cores_per_gpu) == (0, 0)


def test_a_dear_net_on_the_processor_may_use_every_core() -> None:
    dear = replace(PLAIN, models=(FREE, replace(CHEAP, reach=0.1), replace(DEAR, reach=1.0)))
    found = estimate(dear, Cluster(cores=8), 1)
    assert (found.bound, found.binding) == ("cores", "dear")
    assert found.rate == pytest.approx(8 / found.processor)


def test_a_gpu_that_waits_and_one_that_does_not() -> None:
    one = Costs(0.0, 0.0, 0.018, 0.001, (ModelCost("net", 0.001, 0.0, 0.005),), 0.0, 0.0, 0.0, 0.0)
    waits = estimate(one, Cluster(cores=2, gpus=1), 3600)
    assert (waits.bound, waits.binding, waits.rate) == ("cores", "read and decode", pytest.approx(100))
    assert (waits.cores_per_gpu, waits.cores_to_fill) == (pytest.approx(4), pytest.approx(4))
    full = estimate(one, Cluster(cores=4.01, gpus=1), 3600)
    assert (full.bound, full.binding, full.rate) == ("gpus", "net", pytest.approx(200))
    assert full.seconds == pytest.approx(STARTUP + 18)
    two = estimate(one, Cluster(cores=100, gpus=2), 3600)
    assert (two.rate, two.cores_per_gpu, two.cores_to_fill) == (pytest.approx(400), pytest.approx(4), pytest.approx(8))


def test_gpus_are_shared_as_the_work_demands_or_as_the_user_says() -> None:
    shared = estimate(ON_GPU, Cluster(cores=1000, gpus=3), 1)
    assert shared.rate == pytest.approx(3 / (0.5 * 0.002 + 0.1 * 0.02))
    assert [load.granted for load in shared.loads if load.pool == "gpus"] == pytest.approx([1, 2])
    own = estimate(ON_GPU, Cluster(cores=1000, gpus=4, actors=2, gpus_per_actor=1), 1)
    assert (own.bound, own.binding, own.rate) == ("gpus", "dear", pytest.approx(2 / 0.002))
    filled = estimate(ON_GPU, Cluster(cores=1000, gpus=5, gpus_per_actor=1), 1)
    assert [load.granted for load in filled.loads if load.pool == "gpus"] == [2, 2]
    wide = estimate(ON_GPU, Cluster(cores=1000, gpus=4, actors=1, gpus_per_actor=2), 1)
    assert wide.rate == pytest.approx(1 / 0.002)  # a net runs on one GPU, however many it was given


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        (Cluster(8), "No GPU is planned"),
        (Cluster(8, gpus=3, actors=2, gpus_per_actor=1), "need 4 GPUs, but there are 3"),
        (Cluster(8, gpus=1, gpus_per_actor=1), "need 2 GPUs, but there are 1"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(cluster: Cluster, words: str) -> None:
    with pytest.raises(PlanError, match=words):
        estimate(ON_GPU, cluster, 1)


def test_the_process_that_drives_the_job_is_a_limit_of_its_own() -> None:
    found = estimate(replace(PLAIN, driving=0.001), Cluster(cores=10_000), 1)
    assert (found.bound, found.rate) == ("driver", pytest.approx(1 / 0.005))


def test_the_search_for_near_duplicates_comes_after_the_scan() -> None:
    without, joined = (estimate(replace(PLAIN, join=cost), Cluster(4), 1000) for cost in (0.0, 0.008))
    assert joined.rate == without.rate
    assert joined.seconds - without.seconds == pytest.approx(8), "one process compares all"


seconds = st.floats(1e-5, 1.0)
shares = st.just(0.0) | st.floats(1e-6, 1.0)
processor_models = st.builds(ModelCost, st.just(""), seconds, seconds, st.just(0.0), st.booleans(), shares)
gpu_models = st.builds(ModelCost, st.just(""), seconds, seconds, seconds, st.just(False), shares)


def named(models: list[ModelCost]) -> tuple[ModelCost, ...]:
    inline = [replace(one, model=f"free {place}") for place, one in enumerate(models) if one.inline]
    return (*inline, *(replace(one, model=f"net {place}") for place, one in enumerate(models) if not one.inline))


def costs_of(models: Any) -> Any:
    return st.builds(Costs, seconds, seconds, seconds, seconds, st.lists(models, max_size=4).map(named))


@given(costs_of(processor_models) | costs_of(gpu_models), st.integers(1, 500), st.integers(1, 500), st.integers(1, 64))
def test_more_machines_are_never_slower(costs: Costs, cores: int, more: int, gpus: int) -> None:
    found = estimate(costs, Cluster(cores, gpus), 1000)
    for larger in (Cluster(cores + more, gpus), Cluster(cores, gpus + more)):
        assert estimate(costs, larger, 1000).rate >= found.rate * (1 - 1e-9)


@given(costs_of(processor_models) | costs_of(gpu_models), st.integers(1, 500), st.integers(1, 64))
def test_what_binds_is_full_and_nothing_is_fuller(costs: Costs, cores: int, gpus: int) -> None:
    found = estimate(costs, Cluster(cores, gpus), 1000)
    in_use = sum(found.rate * load.stage.share * load.stage.processor for load in found.loads)
    assert in_use <= cores * (1 + 1e-9)
    assert all(load.used <= load.granted * (1 + 1e-9) for load in found.loads)
    assert found.rate <= min(rates(found).values()) * (1 + 1e-9)
    binding = {load.stage.name: load for load in found.loads}.get(found.binding)
    if found.bound == "cores":
        assert in_use == pytest.approx(cores)
        assert binding and all(
            one.stage.share * one.stage.processor <= binding.stage.share * binding.stage.processor
            for one in found.loads
        )
    elif found.bound == "driver":
        assert found.rate * costs.driving * len(found.loads) == pytest.approx(1)
    else:
        assert binding and binding.used == pytest.approx(binding.granted)
        assert binding.alone == min(rates(found).values())


@given(costs_of(gpu_models), st.integers(1, 64))
def test_gpus_need_the_cores_that_it_says(costs: Costs, gpus: int) -> None:
    costs = replace(costs, driving=0.0)
    cores = estimate(costs, Cluster(1, gpus), 1).cores_to_fill
    if cores:
        assert estimate(costs, Cluster(cores * 1.01, gpus), 1).bound == "gpus"
        assert estimate(costs, Cluster(cores * 0.99, gpus), 1).bound == "cores"


@pytest.mark.parametrize(
    ("measured", "passes", "expected"),
    [
        ({}, {}, [1, 1, 1]),
        ({}, {"a": 0.5}, [1, 0.5, 0.5]),
        ({}, {"a": 0.5, "b": 0.1}, [1, 0.5, 0.05]),
        ({"a": 1, "b": 0.4, "c": 0.1}, {}, [1, 0.4, 0.1]),
        ({"a": 1, "b": 0.4, "c": 0.1}, {"a": 0.8}, [1, 0.8, 0.2]),
        ({"a": 1, "b": 0.0, "c": 0.1}, {"b": 0.5}, [1, 0, 0]),
        ({"a": 1, "b": 0.0, "c": 0.1}, {}, [1, 0, 0.1]),
    ],
)
def test_shares(measured: dict[str, float], passes: dict[str, float], expected: list[float]) -> None:
    assert list(reaches(["a", "b", "c"], measured, passes).values()) == pytest.approx(expected)


# --- measuring ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_drawn_pictures_are_like_generated_ones(form: str, tmp_path: Path) -> None:
    paths = drawn_files(tmp_path, 384, form)
    assert len(paths) == DRAWN
    picture = open_image(paths[0])
    assert picture.size == (384, 384) and picture.mode == "RGB"
    assert read_generation(paths[0]).seed == 1234567890
    assert read_generation(paths[0]).positive.startswith("a lighthouse")
    assert len({path.read_bytes() for path in paths}) == DRAWN
    assert {signals.name_failure(signals.measure(open_image(path)))[0] for path in paths} == {"ok"}
    if form == "png":
        assert 0.3 < paths[0].stat().st_size / (384 * 384 * 3) < 0.8  # neither flat nor pure noise


def test_a_sample_is_spread_over_all_images(tmp_path: Path) -> None:
    for number in range(10):
        tiny.plain(0, 0, 0).save(tmp_path / f"{number}.png")
    (tmp_path / "notes.txt").write_text("no image")
    assert [path.stem for path in chosen_files([tmp_path], 4)] == ["0", "3", "6", "9"]
    assert len(chosen_files([tmp_path])) == 10
    with pytest.raises(PlanError, match="none: there is no such file"):
        chosen_files([tmp_path / "none"])


@pytest.fixture
def two_kinds(tmp_path: Path) -> list[Path]:
    """Three bright pictures of which one is red, five dark ones, and one that is none."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    colours = [(255, 255, 255), (255, 255, 200), (255, 200, 200), *[(10, 10, 10 + number) for number in range(5)]]
    for number, colour in enumerate(colours):
        tiny.plain(*colour).save(folder / f"{number}.png")
    (folder / "9.png").write_bytes(b"not an image")
    return chosen_files([folder])


BOTH = Gate.parse("accept: cheap.good >= 0.5 and dear.good >= 0.5")


def test_costs_are_measured_with_the_models_themselves(tmp_path: Path, two_kinds: list[Path]) -> None:
    work = tiny.Work()
    found = measure_costs(Workload(tiny.judge(work, tmp_path), BOTH, shares=True), two_kinds)
    cheap, dear = found.costs.models
    assert (cheap.model, dear.model) == ("cheap", "dear")
    assert (cheap.reach, dear.reach) == (1.0, 3 / 8)
    assert (found.images, dict(found.asked)) == (8, {"cheap": 8, "dear": 3})
    assert len(found.unread) == 1 and "9.png" in found.unread[0]
    assert set(work.batches) == {("cheap exact", 4), ("dear exact", 4)}  # in batches, as the scan asks
    measured = (found.costs.read, found.costs.describe, found.costs.decode, found.costs.write)
    assert all(0 < part < 60 for part in measured)
    assert all(0 < part < 60 for one in (cheap, dear) for part in (one.prepare, one.processor))
    assert (cheap.gpu, cheap.inline, cheap.weights, cheap.views) == (0, False, 12, 3 * 8 * 8 * 4)
    assert found.costs.startup > STARTUP
    assert found.costs.bytes == pytest.approx(sum(path.stat().st_size for path in two_kinds[:8]) / 8)


def test_a_net_elsewhere_is_not_timed_and_a_told_share_is_not_asked_for(tmp_path: Path, two_kinds: list[Path]) -> None:
    work = tiny.Work()
    workload = Workload(tiny.judge(work, tmp_path), BOTH, {"cheap": 0.004, "dear": 0.02}, {"cheap": 0.25}, shares=True)
    found = measure_costs(workload, two_kinds)
    assert work.batches == []
    assert [(one.gpu, one.reach) for one in found.costs.models] == [(0.004, 1.0), (0.02, 0.25)]
    assert all(one.prepare > 0 for one in found.costs.models)
    assert dict(found.devices) == {}


def test_a_sample_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(PlanError, match="empty"):
        measure_costs(Workload(tiny.judge(tiny.Work(), tmp_path), BOTH), [tmp_path / "a.png"])


def test_the_more_pixels_the_longer(tmp_path: Path) -> None:
    found: list[Costs] = []
    for side in (32, 640):
        folder = tmp_path / str(side)
        folder.mkdir()
        judge = tiny.judge(tiny.Work(), tmp_path)
        found.append(measure_costs(Workload(judge, BOTH), drawn_files(folder, side, "png")).costs)
    assert found[1].decode > 3 * found[0].decode


# --- the command -------------------------------------------------------------------------------------------------


def keepers(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(part) for part in arguments], env={"COLUMNS": "200"})


def told(result: Any) -> str:
    return " ".join(result.output.split())


SMALL = ("plan", "--images", 100_000, "--cpus", 8, "--size", 64)


def test_plan_with_the_preset_that_needs_no_files() -> None:
    done = keepers(*SMALL, "--preset", "signals")
    assert done.exit_code == exit_codes.OK, done.output
    assert "100,000 images on 8 cores" in told(done)
    assert "measured here, on 6 generated images" in told(done)
    assert "assumed: cores as fast as these" in told(done)
    assert "read and decode" in done.output and "write" in done.output
    assert "GPU" not in told(done).replace("GPU ms", "")


def test_plan_as_json() -> None:
    done = keepers(*SMALL, "--json", "--format", "webp")
    found = json.loads(done.stdout)
    assert found["hours"] * 3600 == pytest.approx(found["seconds"])
    costs = found["measured"]["costs"]
    looking, joining = 100_000 / found["rate"], 100_000 * costs["join"]
    assert joining > 0
    assert found["seconds"] == pytest.approx(costs["startup"] + looking + joining)
    assert [load["stage"]["name"] for load in found["loads"]] == ["read and decode", "write"]
    assert found["cluster"]["cores"] == 8


@pytest.fixture
def tiny_models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tiny.Work:
    work = tiny.Work()
    registry = tiny.registry(work, tmp_path)
    monkeypatch.setattr(machine, "REGISTRY", registry)
    monkeypatch.setattr(gates, "REGISTRY", registry)
    monkeypatch.setenv("KEEPERS_MODELS", str(tmp_path))
    return work


@pytest.mark.usefixtures("tiny_models")
def test_plan_for_nets_on_gpus_elsewhere() -> None:
    asked = ("--model", "cheap", "--model", "dear", "--gpus", 2, "--cost", "cheap=2", "--cost", "dear=50")
    done = keepers(*SMALL, *asked, "--pass", "cheap=0.1")
    assert done.exit_code == exit_codes.OK, done.output
    assert "decode for dear" in done.output
    assert "To keep the GPUs busy" in told(done)
    assert "told: time on a GPU, cheap 2 ms, dear 50 ms." in told(done)
    assert "told: shares that go on, cheap=0.1." in told(done)
    found = json.loads(keepers(*SMALL, *asked, "--pass", "cheap=0.1", "--cpus", 4000, "--batch", 512, "--json").stdout)
    assert (found["bound"], found["rate"]) == ("gpus", pytest.approx(2 / (0.002 + 0.1 * 0.05)))


@pytest.mark.usefixtures("tiny_models")
def test_plan_with_the_users_own_images(tmp_path: Path, two_kinds: list[Path]) -> None:
    done = keepers(*SMALL, "--model", "cheap", "--model", "dear", "--sample", two_kinds[0].parent)
    assert done.exit_code == exit_codes.OK, done.output
    assert "measured here, on 8 of your images" in told(done)
    assert "that reached a model: dear 3" in told(done)
    assert "left out, cannot be read" in told(done)
    assert "38%" in done.output


def test_a_busy_machine_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for waited, word in ((1.0, False), (1.5, True)):
        monkeypatch.setattr("keepers.cluster.planning.costs._Files.waited", lambda _, waited=waited: waited)
        assert ("kept this machine busy" in told(keepers(*SMALL))) == word


@pytest.mark.usefixtures("tiny_models")
@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--gpus", 1), "There is no GPU here on which cheap and dear could be measured."),
        (("--gpus", 1, "--cost", "cheap=1"), "There is no GPU here on which dear could be measured."),
        (("--cost", "cheap=1"), "say with --gpus how many"),
        (("--gpus", 1, "--cost", "chap=1"), "the gate asks no net 'chap'; it asks cheap, dear"),
        (("--pass", "chap=1"), "the gate asks no model 'chap'"),
        (("--pass", "cheap=1.5"), "a number from 0 to 1, not 'cheap=1.5'"),
        (("--pass", "cheap=nan"), "a number from 0 to 1, not 'cheap=nan'"),
        (("--pass", "0.5"), "MODEL=SHARE"),
        (("--cost", "cheap=0"), "a number above 0"),
        (("--cost", "cheap=fast"), "MODEL=MILLISECONDS"),
        (("--sample", "nowhere.png"), "The sample has no images: nowhere.png"),
        (("--device", "cuda"), "--gpus"),
        (("--gate", "x", "--preset", "signals"), "exclude each other"),
    ],
)
def test_wrong_options_end_in_one_line(options: tuple[object, ...], words: str) -> None:
    done = keepers(*SMALL, *(() if "--gate" in options else ("--model", "cheap", "--model", "dear")), *options)
    assert done.exit_code == exit_codes.ERROR, done.output
    assert words in told(done)
    assert "Traceback" not in done.output


def test_actors_that_do_not_fit_and_numbers_that_are_none() -> None:
    assert keepers("plan", "--images", 0, "--cpus", 1).exit_code == exit_codes.USAGE
    assert keepers("plan", "--images", 5).exit_code == exit_codes.USAGE


def test_nothing_is_planned_without_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    from keepers.cli.scan import plan as command

    monkeypatch.setattr(command.importlib.util, "find_spec", lambda _name: None)
    done = keepers(*SMALL)
    assert done.exit_code == exit_codes.ERROR
    assert "pip install keepers[ray]" in told(done)
