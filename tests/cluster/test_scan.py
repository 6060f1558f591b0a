"""A scan on Ray gives what a plain scan gives, goes on from what is there, and accounts for every input."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray")

import pyarrow as pa
import pyarrow.parquet as pq
import ray
from ray.exceptions import RayError

from keepers.cluster.output.output import IMAGES, SETTINGS, Output, OutputError
from keepers.cluster.output.schema import ImageRow
from keepers.cluster.running.connect import ClusterError, ClusterNode, connected, worker_error
from keepers.cluster.running.job import Finished, Sources, Workers, run_scan
from keepers.collection.scan import Scanned
from keepers.collection.store import Store
from keepers.core.captions.recipe import CaptionRecipe, Tagger
from keepers.core.captions.writer import CaptionWriter, taggers
from keepers.core.errors import KeepersError, UnreadableImage
from keepers.core.judging.classifier import model_fingerprint
from keepers.core.prediction import Prediction
from keepers.core.weights.store import WeightStore
from keepers.tests.cluster.sources.s3_server import CLEARED, ENVIRONMENT, serving
from keepers.tests.cluster.world import Watch, fetched, file_server, image_rows, picture, plain, registry, task

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
    os.utime(folder / "twin.png", (1e9, 1e9))  # older than the equal picture, which is kept
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
    os.utime(folder / "twin.png", (1e9, 1e9))  # older than the equal picture, which is kept
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


def test_errors_of_workers_are_told_once(nodes: tuple[ClusterNode, ...]) -> None:
    def fail() -> None:
        raise UnreadableImage("/a/b.png", "io", "the disk is gone")

    with pytest.raises(RayError) as caught:
        ray.get(ray.remote(fail).remote())
    found = worker_error(caught.value)
    assert isinstance(found, UnreadableImage) and str(found) == "/a/b.png: the disk is gone" and found.code == "io"
    assert isinstance(worker_error(ValueError("odd")), ClusterError)
