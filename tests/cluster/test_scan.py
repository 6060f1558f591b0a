"""A scan on Ray gives what a plain scan gives, goes on from what is there, and accounts for every input."""

from __future__ import annotations

import itertools
import json
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("ray")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from PIL import Image
from ray.exceptions import RayError

from keepers.cluster.output.manifest import survey
from keepers.cluster.output.output import IMAGES, SETTINGS, Output, OutputError
from keepers.cluster.output.schema import ImageRow
from keepers.cluster.running.connect import ClusterError, ClusterNode, connected, try_model, worker_error
from keepers.cluster.running.duplicates import BANDS, MOST, banded, meetings
from keepers.cluster.running.finish import NOBODY, nearest_earlier
from keepers.cluster.running.job import Finished, Sources, Workers, run_scan, stages_of
from keepers.cluster.running.pools import plan_pools
from keepers.cluster.running.stages import Classify, Look, Prepare, Write
from keepers.cluster.running.task import Task
from keepers.cluster.running.work import Work
from keepers.cluster.sources.sources import list_items
from keepers.collection.scan import Scanned, window_of
from keepers.collection.store import Store
from keepers.core.captions.recipe import CaptionRecipe, Tagger
from keepers.core.captions.writer import CaptionWriter, taggers
from keepers.core.errors import KeepersError, UnreadableImage
from keepers.core.judging.classifier import model_fingerprint
from keepers.core.prediction import Prediction
from keepers.core.weights.store import WeightStore
from keepers.tests.cluster.sources.s3_server import CLEARED, ENVIRONMENT, serving
from keepers.tests.cluster.world import (
    GATE,
    Watch,
    fetched,
    file_server,
    image_rows,
    make_images,
    picture,
    plain,
    registry,
    task,
)

SIGNALS = 'accept: signals.label == "ok"\nreview: signals.label == "duplicate"'


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[ClusterNode, ...]]:
    """A cluster of its own on this machine; its workers know how to ask the S3 service of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        for name in CLEARED:
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        with connected() as found:
            yield found


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    make_images(folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    registry(folder)
    return folder


def same(rows: dict[str, ImageRow], scanned: Sequence[Scanned], stored: dict[str, dict[str, Prediction]]) -> None:
    """Every row says what the plain scan says, to the last bit."""
    assert set(rows) == {str(one.path) for one in scanned}
    for one in scanned:
        row = rows[str(one.path)]
        assert (row.verdict, row.error, row.image) == (one.verdict, one.error, one.image), one.path
        for model, prediction in stored.get(one.image.content, {}).items():
            found = row.answers[model]
            assert isinstance(found, Prediction)
            assert found.values.tobytes() == prediction.values.tobytes(), (one.path, model)
            told = (found.label, found.tolerance, found.fingerprint, found.labels)
            assert told == (prediction.label, prediction.tolerance, prediction.fingerprint, prediction.labels)
            assert min(found.margin, 1e300) == prediction.margin, "the store keeps infinity as a large number"


def stored(store: Store, models: Path, contents: list[str]) -> dict[str, dict[str, Prediction]]:
    weights = WeightStore([models])
    fingerprints = {
        name: model_fingerprint(registry(models).spec(name, weights), weights)
        for name in ("signals", "cheap", "dear", "company")
    }
    return store.predictions(contents, fingerprints)


def test_images_share_their_batches_as_in_the_plain_scan(
    nodes: tuple[ClusterNode, ...], images: Path, models: Path, tmp_path: Path
) -> None:
    gate = "reject: cheap.good < 0.5\naccept: company.good >= 0.2"
    with Store(tmp_path / "plain.db") as store:
        scanned = plain(images, models, store, gate)
        known = stored(store, models, [one.image.content for one in scanned])
    scan(nodes, task(models, gate), [str(images)], tmp_path / "out")
    same(image_rows(tmp_path / "out"), scanned, known)
    asked = [one["company"].values[0] for one in known.values() if "company" in one]
    assert len(set(asked)) > 8 and len(asked) < len(known), "some are asked, each in company of its own"


@pytest.mark.parametrize("precision", ["exact", "fast"])
def test_it_is_the_plain_scan(
    precision: str, nodes: tuple[ClusterNode, ...], images: Path, models: Path, tmp_path: Path
) -> None:
    with Store(tmp_path / "plain.db") as store:
        scanned = plain(images, models, store, precision=precision)
        known = stored(store, models, [one.image.content for one in scanned])
    watch = Watch()
    found = run_scan(
        task(models, precision=precision), Sources([str(images)]), str(tmp_path / "out"), nodes, Workers(), watch
    )
    rows = image_rows(tmp_path / "out")
    same(rows, scanned, known)
    outcomes = {row.verdict.outcome for row in rows.values()}
    assert outcomes == {"accept", "review", "reject"}, "the gate tells the images apart"
    assert {row.verdict.reason.split(";")[0] for row in rows.values() if row.duplicate_of}, "some are repeated"
    counts = found.counts
    assert counts.listed == len(rows) == watch.written == watch.begun[0]
    assert counts.missing == 0 and counts.skipped == 0 and counts.error == 3 and counts.duplicates == 6


def looked_at(given: Task, images: Path) -> dict[str, ImageRow]:
    """What the stages make of a folder, one after another in this process; duplicates are not looked for."""
    models = tuple(dict.fromkeys((*given.parsed.models, *given.taggers)))
    given = replace(given, models=tuple(try_model(given, model) for model in models))
    stages: list[Any] = [Classify(given, model) for model in given.staged]
    later = [[Prepare(given, model), stage] for model, stage in zip(given.staged[1:], stages[1:], strict=True)]
    listed, done = list(list_items([str(images)])), list[Work]()
    for start in range(0, len(listed), window_of(given.batch)):
        part = listed[start : start + window_of(given.batch)]
        batch: dict[str, Any] = {name: np.array([getattr(item, name) for item in part]) for name in vars(part[0])}
        for stage in (Look(given), *stages[:1], *itertools.chain.from_iterable(later)):
            batch = stage(batch)
        done += list(batch["work"])
    write = Write(given, "")
    return {work.item.name: write.row(work) for work in done}


@pytest.mark.parametrize(
    ("gate", "precision"),
    [
        ("accept: cheap.good >= dear.good", "fast"),
        ("reject: cheap.good < 0.3\nreject: half.good < 0.25\naccept: dear.good >= half.good", "fast"),
        ("accept: half.good >= 0.25 and dear.good < 0.5 and cheap.good >= 0.4", "exact"),
        ("accept: dear.good < slow.good and dear.good >= slow.good\nreject: cheap.good < 0.5", "exact"),
    ],
)
def test_gates_that_set_models_beside_each_other(
    gate: str, precision: str, images: Path, models: Path, tmp_path: Path
) -> None:
    """Two numbers near each other, one that follows from another, a file without bytes that no cheap model sees."""
    with Store(tmp_path / "plain.db") as store:
        scanned = plain(images, models, store, gate, precision)
    found = looked_at(task(models, gate, precision=precision), images)
    wanted = {str(one.path): (one.verdict.outcome, one.error) for one in scanned}
    assert {name: (row.verdict.outcome, row.error) for name, row in found.items()} == wanted
    assert len({outcome for outcome, _ in wanted.values()}) > 1
    if precision == "exact":
        assert {name: row.verdict.reason for name, row in found.items()} == {
            str(one.path): one.verdict.reason for one in scanned
        }


def scan(
    nodes: tuple[ClusterNode, ...], given: object, sources: list[str], out: object, watch: Watch | None = None
) -> Finished:
    return run_scan(given, Sources(sources), str(out), nodes, Workers(), watch or Watch())  # pyright: ignore[reportArgumentType]


def test_it_goes_on_from_what_is_there(
    nodes: tuple[ClusterNode, ...], images: Path, models: Path, tmp_path: Path
) -> None:
    """New, changed and repeated inputs, a file that was cut off, errors that may be gone: only those are looked at."""
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for number in range(12):
        picture(number).save(folder / f"{number:02}.png")
    (folder / "gone.png").symlink_to(tmp_path / "nowhere")
    given = task(models, SIGNALS)
    first = scan(nodes, given, [str(folder), str(folder / "03.png"), str(tmp_path / "no such")], out)
    assert first.counts.listed == 14 == first.counts.accept + first.counts.error, first
    assert image_rows(out)[str(tmp_path / "no such")].error == "not_a_file"

    again = Watch()
    picture(70).save(folder / "05.png")
    picture(2).save(folder / "twin.png")
    picture(71).save(folder / "new.png")
    second = scan(nodes, given, [str(folder), str(tmp_path / "no such")], out, again)
    assert again.begun == (1 + 2 + 1, 12), "the changed, the new ones, and the one that could not be read"
    assert second.counts.missing == 0 and second.counts.duplicates == 1
    rows = image_rows(out)
    assert rows[str(folder / "twin.png")].duplicate_of == str(folder / "02.png")
    assert rows[str(folder / "twin.png")].distance == 0
    assert rows[str(folder / "twin.png")].verdict.outcome == "review"

    (folder / "02.png").unlink()  # then the twin repeats nothing any more
    part = next((out / IMAGES).iterdir())
    part.write_bytes(part.read_bytes()[:-40])
    third = scan(nodes, given, [str(folder)], out)
    assert list(third.damaged) == [part.name] and (out / "damaged" / part.name).exists()
    rows = image_rows(out)
    assert rows[str(folder / "twin.png")].duplicate_of == "" and rows[str(folder / "twin.png")].distance is None
    assert rows[str(folder / "twin.png")].verdict.outcome == "accept"
    assert third.counts.missing == 0


def test_other_results_are_not_mixed_in(nodes: tuple[ClusterNode, ...], models: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    picture(1).save(folder / "1.png")
    scan(nodes, task(models, SIGNALS), [str(folder)], out)
    before = {path.name: path.read_bytes() for path in (out / IMAGES).iterdir()}
    with pytest.raises(OutputError, match="the gate there is"):
        scan(nodes, task(models, "accept: cheap.good >= 0.5"), [str(folder)], out)
    with pytest.raises(OutputError, match="every model was asked"):
        scan(nodes, task(models, SIGNALS, everything=True), [str(folder)], out)
    settings = json.loads((out / SETTINGS).read_text())
    settings["models"][0]["fingerprint"] = "0" * 16
    (out / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(OutputError, match="signals has other files"):
        scan(nodes, task(models, SIGNALS), [str(folder)], out)
    (out / SETTINGS).unlink()
    with pytest.raises(OutputError, match="holds files"):
        scan(nodes, task(models, SIGNALS), [str(folder)], out)
    assert {path.name: path.read_bytes() for path in (out / IMAGES).iterdir()} == before


def test_what_cannot_be_done_is_said_before_it_begins(
    nodes: tuple[ClusterNode, ...], models: Path, tmp_path: Path
) -> None:
    sources, out = [str(models)], tmp_path / "out"
    with pytest.raises(KeepersError, match=r'ask signals\.label == "duplicate"'):
        scan(nodes, task(models, "accept: signals.duplicate < 0.8"), sources, out)
    given = task(models, "accept: cheap.good >= 0.5")
    (models / "cheap.safetensors").rename(models / "cheap.away")
    try:
        with pytest.raises(KeepersError, match=r"cheap\.safetensors .* is not on this machine"):
            scan(nodes, given, sources, out)
    finally:
        (models / "cheap.away").rename(models / "cheap.safetensors")
    assert not out.exists()


def test_s3_tars_and_parquet_in_one_scan(nodes: tuple[ClusterNode, ...], models: Path, tmp_path: Path) -> None:
    """The results lie on S3 as well, and the service throttles and cuts connections meanwhile."""
    pictures = {f"{number}.jpg": picture(300 + number) for number in range(6)}
    for name, one in pictures.items():
        one.save(tmp_path / name)
    with tarfile.open(tmp_path / "set.tar", "w") as tar:
        for name in pictures:
            tar.add(tmp_path / name, f"shard/{name}")
    data = [(tmp_path / name).read_bytes() for name in list(pictures)[:5]]
    pq.write_table(pa.table({"image": [*data, None]}), tmp_path / "set.parquet", row_group_size=2)
    with serving() as server:
        server.fill("pictures", {f"a/{name}": (tmp_path / name).read_bytes() for name in pictures})
        server.fill("sets", {"set.tar": (tmp_path / "set.tar").read_bytes()})
        server.fill("results", {})
        server.throttle(5)
        server.cut(3, lambda request: request.path.endswith(".jpg"))
        sources = [server.uri("pictures/a"), server.uri("sets/set.tar"), str(tmp_path / "set.parquet")]
        given, out = task(models, SIGNALS), server.uri("results/run")
        found = scan(nodes, given, sources, out)
        counts = found.counts
        assert (counts.listed, counts.accept, counts.duplicates, counts.error, counts.missing) == (18, 6, 11, 1, 0)
        rows = {row.item.name.split("?")[0].rpartition("/")[2]: row for row in Output.at(out).image_rows()}
        contents = {row.image.content for row in rows.values()} - {""}
        assert len(contents) == 6, "the same bytes, from whatever they were read"
        assert server.count("PUT", ".parquet") >= 2 and server.count("PUT", SETTINGS) == 1
        again = Watch()
        assert scan(nodes, given, sources, out, again).counts.skipped == again.begun[1] >= 17
        server.deny("pictures")
        with pytest.raises(KeepersError, match="pictures"):
            scan(nodes, given, sources, out)


def test_captions_and_sparse_tags(nodes: tuple[ClusterNode, ...], models: Path, tmp_path: Path) -> None:
    """What is accepted gets the caption that the recipe makes; below the floor no tag is written."""
    folder, out = tmp_path / "images", tmp_path / "out"
    folder.mkdir()
    for number in range(8):
        picture(number).save(folder / f"{number}.png")
    recipe = CaptionRecipe(taggers=(Tagger("words"),), threshold=0.3, first=("trigger",))
    given = task(models, SIGNALS, taggers=("words",), recipe=recipe, floor=0.2)
    picture(3).save(folder / "twin.png")
    finished = scan(nodes, given, [str(folder)], out)
    assert finished.counts.captions == 8
    rows = image_rows(out)
    assert rows[str(folder / "twin.png")].caption is None, "it is for review"
    writer = CaptionWriter(recipe, taggers([given.spec("words")]))
    for row in rows.values():
        said = row.answers.get("words")
        if row.caption is not None:
            assert isinstance(said, Prediction)
            assert row.caption == writer([said], row.image).text
            assert all(value == 0 or value >= np.float32(0.2) for value in said.values)
    assert len({row.caption for row in rows.values()}) > 2


def test_captions_can_be_written_anew_from_what_is_kept(models: Path) -> None:
    """A verdict that hangs on duplicates is settled from the files, where no tag of a caption may be missing."""
    for recipe, floor in (
        (CaptionRecipe(taggers=(Tagger("words"),), threshold=0.3), 0.3),
        (CaptionRecipe(taggers=(Tagger("words", weight=2.0, threshold=0.2),)), 0.1),
        (CaptionRecipe(taggers=(Tagger("words"),), thresholds=(("general", 0.25),)), 0.25),
        (CaptionRecipe(taggers=(Tagger("words"),), top=3), 0.0),
        (CaptionRecipe(taggers=(Tagger("words"),), threshold=0.9), 0.6),
    ):
        given = task(models, SIGNALS, taggers=("words",), recipe=recipe, floor=0.6)
        given = replace(given, models=tuple(try_model(given, model) for model in ("signals", "words")))
        assert given.columns[1].floor == floor


def test_weights_are_fetched_once(nodes: tuple[ClusterNode, ...], images: Path, tmp_path: Path) -> None:
    """Two workers hold the net, and the node asked for its file once."""
    models = tmp_path / "models"
    models.mkdir()
    with file_server({"/fetched.safetensors": b"0" * 5000}) as (address, asked):
        given = task(models, "accept: fetched.good >= 0.5", registry=fetched(f"{address}/fetched.safetensors"))
        given = replace(given, weights=replace(given.weights, download=True))
        run_scan(given, Sources([str(images)]), str(tmp_path / "out"), nodes, Workers(actors=2), Watch())
    assert asked == ["/fetched.safetensors"]
    assert (models / "fetched.safetensors").stat().st_size == 5000
    assert {row.verdict.outcome for row in image_rows(tmp_path / "out").values() if not row.error} == {"accept"}


@pytest.mark.parametrize("count", [0, 1, 300])
def test_the_join_finds_what_comparing_all_with_all_finds(count: int) -> None:
    random = np.random.RandomState(count)
    bits = random.randint(0, 1 << 62, count, dtype=np.int64).astype(np.uint64)
    bits[::7] = bits[:1]  # some again and again
    for place in range(1, count, 2):  # some near the image before, at all distances up to nine
        flips = random.choice(64, random.randint(0, 10), replace=False)
        bits[place] = bits[place - 1] ^ np.bitwise_or.reduce(
            np.uint64(1) << flips.astype(np.uint64), initial=np.uint64(0)
        )
    images = {"number": random.permutation(count).astype(np.int64), "bits": bits}
    every = meetings(images)
    joined: dict[int, int] = {}
    bands = banded(images)
    for band in np.unique(bands["band"]):
        met = meetings({name: bands[name][bands["band"] == band] for name in ("number", "bits")})
        for number, rank in zip(met["number"].tolist(), met["rank"].tolist(), strict=True):
            joined[number] = min(rank, joined.get(number, rank))
    assert joined == dict(zip(every["number"].tolist(), every["rank"].tolist(), strict=True))
    by_number = dict(zip(images["number"].tolist(), bits.tolist(), strict=True))
    near: dict[int, int] = {}
    for number, earlier in itertools.combinations(sorted(by_number, reverse=True), 2):
        distance = (by_number[number] ^ by_number[earlier]).bit_count()
        if distance <= MOST:
            near[number] = min(distance << 40 | earlier, near.get(number, 1 << 62))
    assert joined == near
    assert len(bands["band"]) == BANDS * count
    assert count < 300 or len(joined) > 50


def test_ray_joins_as_one_machine_does(
    nodes: tuple[ClusterNode, ...], images: Path, models: Path, tmp_path: Path
) -> None:
    """Also where no image repeats another one, and where there is none to be compared."""
    for name, count, failed in (("distinct", 3, 0), ("failed", 0, 2)):
        (tmp_path / name).mkdir()
        for number in range(count):
            picture(number).save(tmp_path / name / f"{number}.png")
        for number in range(failed):
            Image.new("RGB", (64, 64), (number, 0, 0)).save(tmp_path / name / f"black{number}.png")
    for folder, expected in ((images, 6), (tmp_path / "distinct", 0), (tmp_path / "failed", 0)):
        out = tmp_path / f"out-{folder.name}"
        scan(nodes, task(models, SIGNALS), [str(folder)], out)
        output = Output.at(str(out))
        here, joined = (nearest(output, small=small) for small in (True, False))
        assert here == joined and len(here) == expected, folder


def nearest(output: Output, *, small: bool) -> set[tuple[int, int]]:
    """Number and rank of every near-duplicate, found in one of the two ways."""
    column = output.require_settings().models[0]
    blocks = ray.get(nearest_earlier(output, output.parts(), column, ray.put(survey(output)), small=small))
    each = (zip(*(block.get(name, ()) for name in ("number", "rank")), strict=True) for block in blocks)
    return {(int(number), int(rank)) for pairs in each for number, rank in pairs if number != NOBODY}


def test_pools_fit_the_cluster() -> None:
    here = [ClusterNode("a", "a", 3.0, 0.0)]
    assert (plan_pools(here, 0).looks, plan_pools(here, 0).writes) == (1, 1)
    two = plan_pools(here, 2)
    workers = two.looks + two.prepares + 2 * two.actors + two.writes
    assert two.share * workers <= 2.0 and two.threads == 2
    farm = [ClusterNode(str(number), "n", 32.0, 4.0) for number in range(3)]
    cards = plan_pools(farm, 2)
    assert (cards.actors, cards.gpus, cards.threads) == (12, 0.5, 0)
    assert cards.looks + cards.prepares + cards.writes <= 95
    assert cards.looks // 10 < cards.writes <= cards.looks // 8 + 1
    assert plan_pools(farm, 1, actors=6, gpus_per_actor=2.0).actors == 6
    with pytest.raises(KeepersError, match="do not fit"):
        plan_pools(farm, 2, actors=7, gpus_per_actor=1.0)
    with pytest.raises(KeepersError, match="has none"):
        plan_pools(here, 1, gpus_per_actor=1.0)


@pytest.mark.parametrize("sizes", [(2.0, 2.0), (3.0, 3.0, 2.0), (4.0, 3.0), (1.0, 1.0, 1.0), (2.0,)])
def test_a_whole_processor_is_left_somewhere(sizes: tuple[float, ...]) -> None:
    """However the workers are placed: what Ray itself does needs one, and would wait for it for ever."""
    here = [ClusterNode(str(number), "n", size, 0.0) for number, size in enumerate(sizes)]
    for nets in range(4):
        try:
            pools = plan_pools(here, nets)
        except KeepersError:  # the cluster is too small
            continue
        workers = pools.looks + pools.writes + max(0, nets - 1) * pools.prepares + nets * pools.actors
        left = sum(sizes) - workers * pools.share
        assert left >= (1 if pools.share == 1 else len(sizes)) - 1e-6, (nets, pools)


def test_every_stage_is_counted(models: Path) -> None:
    """Also that of a model which needs no files but comes after one that does."""
    for gate in ("accept: deadly.good >= 0.5 and signals.ok >= 0.5", "accept: signals.ok >= 0.5", GATE):
        given = task(models, gate, taggers=("words",))
        names = (*given.parsed.models, "words")
        tried = replace(given, models=tuple(try_model(given, model) for model in names))
        assert stages_of(given, names) == len(tried.staged), gate


def test_errors_of_workers_are_told_once(nodes: tuple[ClusterNode, ...]) -> None:
    def fail() -> None:
        raise UnreadableImage("/a/b.png", "io", "the disk is gone")

    with pytest.raises(RayError) as caught:
        ray.get(ray.remote(fail).remote())
    found = worker_error(caught.value)
    assert isinstance(found, UnreadableImage) and str(found) == "/a/b.png: the disk is gone" and found.code == "io"
    assert isinstance(worker_error(ValueError("odd")), ClusterError)
