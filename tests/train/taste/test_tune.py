"""`keepers tune` from end to end, and what it makes: a variant that every door can use, and that never lies."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from keepers.cli.app import app
from keepers.cli.taste.tune import Learned, _save  # pyright: ignore[reportPrivateUsage]
from keepers.cli.taste.tune_view import Turned
from keepers.collection.known_scores import known_scores
from keepers.collection.mark_store import MarkStore
from keepers.collection.marks import UserMark
from keepers.collection.scan import Scan
from keepers.collection.store import SeenFile, Store
from keepers.core.errors import KeepersError, UnknownName, WrongWeights
from keepers.core.gates.gate import Gate
from keepers.core.judging.case import Subject
from keepers.core.judging.classifier import Classifier, model_fingerprint
from keepers.core.judging.judge import Judge
from keepers.core.pictures.walk import Found
from keepers.core.prediction import Prediction
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.core.weights.weight_file import WeightFile
from keepers.models.faramir.labels import LABELS
from keepers.models.provenance import FORMAT, Provenance
from keepers.models.registry import REGISTRY
from keepers.models.taste import taste
from keepers.tests.cli.scan.test_scan import keepers
from keepers.tests.train.taste.world import World, decision, picky, published, world
from keepers.train.taste.decision import LAYERS
from keepers.train.taste.evidence import Measurement


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which faramir:mine and taste:mine were made."""
    made = world(tmp_path_factory.mktemp("world"), 200, picky)
    for what in (["faramir"], ["taste", "--on", "faramir"]):
        done = tune(made, *what)
        assert done.returncode == 0, done.stderr
    return made


@dataclass(frozen=True)
class Done:
    """As subprocess.CompletedProcess; lines of the terminal are joined."""

    returncode: int
    stderr: str


def run(*arguments: object) -> Done:
    """The command in this process: importing torch anew takes longer than learning."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Done(done.exit_code, " ".join(done.output.split()))


def tune(made: World, *arguments: object) -> Done:
    return run("tune", *arguments, "--db", made.db, "--models", made.weights)


def judge(made: World) -> Judge:
    return Judge(REGISTRY, WeightStore([made.weights]), Runtime(device="cpu", precision="exact"))


def never() -> Image.Image:
    raise AssertionError("no picture is opened")


def test_tuning_tells_and_saves(tmp_path: Path) -> None:
    made = world(tmp_path, 160, picky)
    before = {path.name: path.read_bytes() for path in made.weights.iterdir()}
    done = tune(made, "faramir", "--name", "mine", "--sheet", tmp_path / "sheet.html")
    assert done.returncode == 0, done.stderr
    for told in ("MCC", "informedness", "95 %", "change sides", "gate: accept: faramir:mine.accept >= 0.5"):
        assert told in done.stderr
    assert "you said" in (tmp_path / "sheet.html").read_text(encoding="utf-8")
    path = made.weights / "faramir-tuned" / "mine.safetensors"
    found = load_file(path)
    assert {name: tuple(tensor.shape) for name, tensor in found.items()} == dict(LAYERS)
    assert not torch.equal(found["head.linear_3.weight"], decision()["head.linear_3.weight"])
    assert path.stat().st_size < 8000
    after = {path.name: path.read_bytes() for path in made.weights.iterdir() if path.is_file()}
    assert after == before, "the published files stay as they are, bit for bit"
    known = FORMAT.read_file(path)
    assert (known.base, known.keeps + known.rejects) == ("faramir", 160)
    assert known.metrics["mcc"][0] > 0.8 and known.training["gain"][1] > 0

    listed = keepers("models", "--models", made.weights, "--json").stdout
    assert "faramir:mine" in {model["id"] for model in json.loads(listed)}
    assert run("tune", "faramir", "--remove", "--models", made.weights).returncode == 0
    assert not path.exists()
    again = run("tune", "faramir", "--remove", "--models", made.weights)
    assert again.returncode == 1 and "mine" in again.stderr


@pytest.mark.parametrize("what", [["faramir"], ["taste", "--on", "faramir"]])
def test_random_labels_are_not_saved(tmp_path: Path, what: list[str]) -> None:
    made = world(tmp_path, 120, lambda values: np.random.RandomState(3).rand(len(values)) < 0.5)
    done = tune(made, *what)
    assert done.returncode == 1
    assert "was not saved" in done.stderr and "not better" in done.stderr
    assert not list(made.weights.rglob("mine.safetensors"))
    anyway = tune(made, *what, "--anyway", "--name", "bad")
    assert anyway.returncode == 0 and list(made.weights.rglob("bad.safetensors"))
    assert "saved although not better for certain: " in anyway.stderr


def test_what_was_learned_is_saved_even_if_the_page_cannot_be_written(tmp_path: Path) -> None:
    made = world(tmp_path, 160, picky)
    (tmp_path / "file").write_text("no folder")
    done = tune(made, "faramir", "--name", "mine", "--sheet", tmp_path / "file" / "sheet.html")
    assert done.returncode == 0, done.stderr
    assert "the page could not be written" in done.stderr and "saved: " in done.stderr
    assert list(made.weights.rglob("mine.safetensors"))


def test_too_few_labels_of_a_kind(tmp_path: Path) -> None:
    made = world(tmp_path, 60, lambda values: np.arange(len(values)) < 7)
    done = tune(made, "faramir")
    assert done.returncode == 1 and "13 more keeps" in done.stderr
    one_kind = world(tmp_path / "one", 60, lambda values: np.ones(len(values), bool))
    done = tune(one_kind, "taste", "--on", "faramir")
    assert done.returncode == 1 and "20 more rejects" in done.stderr


def test_labels_below_a_folder_alone(tmp_path: Path) -> None:
    made = world(tmp_path, 60, published)
    done = tune(made, "faramir", tmp_path / "elsewhere")
    assert done.returncode == 1 and "There are 0 keeps" in done.stderr


@pytest.mark.parametrize("name", ["fixed", "a/b", "..", "", "a b"])
def test_names_that_cannot_be(tmp_path: Path, name: str) -> None:
    done = run("tune", "faramir", "--name", name, "--models", tmp_path)
    assert done.returncode == 1 and "cannot be a name" in done.stderr


def test_the_variant_judges_stored_images_without_opening_them(tuned: World) -> None:
    contents = list(tuned.contents)
    with Store(tuned.db) as store:
        asked = judge(tuned)
        seen = known_scores(asked, MarkStore(store), "faramir", contents)
        assert seen.fresh == 0 and len(seen.found) == 200
        for model, label in (("faramir:mine", "accept"), ("taste:mine", "keep")):
            gate = Gate.parse(f"accept: {model}.{label} >= 0.5")
            asked.check(gate)
            subjects = [Subject(never, {"faramir": seen.found[content]}) for content in contents]
            found = [one.verdict.outcome == "accept" for one in asked.judge(subjects, gate)]
            assert np.mean(np.array(found) == tuned.keep) > 0.95


def test_a_scan_under_the_variant_takes_stored_numbers(tuned: World, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (64, 64), (200, 20, 20)).save(path)
    found = Found(path, path.stat().st_size, path.stat().st_mtime_ns)
    with Store(tmp_path / "k.db") as store:
        first = judge(tuned)
        [one] = Scan(first, Gate.parse("accept: faramir.accept >= 0.5"), store).run(
            Scan(first, Gate.parse("accept: faramir.accept >= 0.5"), store).plan([found])
        )
        assert isinstance(one.answers["faramir"], Prediction)
        second = judge(tuned)
        scan = Scan(second, Gate.parse("accept: faramir:mine.accept >= 0.5"), store)
        [again] = scan.run(scan.plan([found]))
        derived = again.answers["faramir:mine"]
        assert isinstance(derived, Prediction)
        assert not second._loaded, "no net was loaded"  # pyright: ignore[reportPrivateUsage]
    whole = second.classifier("faramir:mine").classify([Image.open(path)])[0]
    assert whole.fingerprint == derived.fingerprint
    assert np.abs(whole.values - derived.values).max() < 1e-5
    assert not np.allclose(derived["accept"], one.answers["faramir"]["accept"])
    logits = [index for index in range(len(LABELS)) if LABELS.group(index) != "decision"]
    assert np.array_equal(derived.values[logits], one.answers["faramir"].values[logits])


def test_only_the_three_layers_differ(tuned: World) -> None:
    asked = judge(tuned)
    base, mine = (asked.classifier(model).network.module.state_dict() for model in ("faramir", "faramir:mine"))
    differing = {name for name in base if not torch.equal(base[name], mine[name])}
    assert differing and {name.removeprefix("own.") for name in differing} <= set(LAYERS)
    assert model_fingerprint(asked.registry.spec("faramir:mine", asked.store), asked.store) != model_fingerprint(
        asked.registry.spec("faramir", asked.store), asked.store
    )


def test_a_probe_is_a_classifier(tuned: World) -> None:
    asked = judge(tuned)
    classifier = asked.classifier("taste:mine")
    picture = Image.new("RGB", (64, 64), (10, 200, 20))
    [whole] = classifier.classify([picture])
    [base] = asked.classifier("faramir").classify([picture])
    derived = asked.derive("taste:mine", {"faramir": base})
    assert derived is not None
    assert whole["keep"] == pytest.approx(derived["keep"], abs=1e-5)
    assert whole.label == ("keep" if whole["keep"] >= 0.5 else "reject")


def copied(made: World, folder: Path) -> Path:
    for path in made.weights.rglob("*"):
        if path.is_file():
            target = folder / path.relative_to(made.weights)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


@pytest.mark.parametrize("model", ["faramir:mine", "taste:mine"])
def test_a_base_that_changed_is_refused(tuned: World, tmp_path: Path, model: str) -> None:
    place = copied(tuned, tmp_path)
    other = torch.load(place / "faramir-v1.pth", weights_only=True)
    torch.save({**other, "head.linear_4.bias": torch.ones(1)}, place / "faramir-v1.pth")
    asked = Judge(REGISTRY, WeightStore([place]), Runtime(device="cpu"))
    with pytest.raises(WrongWeights, match="another file of faramir"):
        asked.classifier(model)
    [answer] = asked.judge(
        [Subject(lambda: Image.new("RGB", (64, 64)))], Gate.parse(f"accept: {model}.label == 'keep'")
    )
    assert answer.verdict.outcome == "review"


def without_description(path: Path) -> None:
    save_file(load_file(path), path)


def with_other_shape(path: Path) -> None:
    known = FORMAT.read_file(path)
    save_file({name: tensor[:0] for name, tensor in load_file(path).items()}, path, metadata=known.metadata())


def with_a_stranger(path: Path) -> None:
    known = FORMAT.read_file(path)
    save_file({**load_file(path), "head.linear_1.bias": torch.zeros(64)}, path, metadata=known.metadata())


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def of_the_future(path: Path) -> None:
    save_file(load_file(path), path, metadata={FORMAT.key: json.dumps({"format": 99})})


@pytest.mark.parametrize("spoil", [without_description, with_other_shape, with_a_stranger, torn, of_the_future])
@pytest.mark.parametrize(("model", "folder"), [("faramir:mine", "faramir-tuned"), ("taste:mine", "taste")])
def test_damaged_files_are_refused(
    tuned: World, tmp_path: Path, spoil: Callable[[Path], None], model: str, folder: str
) -> None:
    place = copied(tuned, tmp_path)
    spoil(place / folder / "mine.safetensors")
    store = WeightStore([place])
    with pytest.raises(Exception, match=r"mine\.safetensors") as caught:
        Classifier.load(REGISTRY.spec(model, store), store, Runtime(device="cpu"), "exact")
    assert type(caught.value).__module__.endswith("core.errors")


def test_a_taste_that_was_never_learned(tmp_path: Path) -> None:
    store = WeightStore([tmp_path])
    with pytest.raises(UnknownName):
        REGISTRY.spec("taste:mine", store)
    with pytest.raises(Exception, match="keepers tune taste"):
        Classifier.load(taste.SPEC, store, Runtime(device="cpu"), "exact")


def test_what_was_never_scored_is_scored_first(tuned: World, tmp_path: Path) -> None:
    contents: list[str] = []
    with Store(tmp_path / "k.db") as store:
        labels = MarkStore(store)
        for index in range(3):
            path = tmp_path / f"{index}.png"
            Image.new("RGB", (64, 64), (80 * index, 20, 20)).save(path)
            from keepers.core.files import content_hash

            contents.append(content_hash(path))
            store.add(files=[SeenFile(path, 1, 1, contents[-1])])
            labels.add([UserMark(contents[-1], "keep", "test", 1.0)])
        (tmp_path / "1.png").unlink()
        Image.new("RGB", (64, 64), (1, 2, 3)).save(tmp_path / "2.png")
        steps: list[tuple[int, int]] = []
        found = known_scores(judge(tuned), labels, "faramir", [*contents, "f" * 64], lambda *step: steps.append(step))
        assert set(found.found) == {contents[0]} and found.fresh == 1
        assert set(found.vanished) == {contents[1], contents[2], "f" * 64}
        assert steps[-1] == (2, 2)
        again = known_scores(judge(tuned), labels, "faramir:mine", contents[:1])
        assert again.fresh == 0 and again.found[contents[0]].model == "faramir:mine"


def test_scores_of_other_weights_do_not_serve(tuned: World, tmp_path: Path) -> None:
    place = copied(tuned, tmp_path)
    other = torch.load(place / "faramir-v1.pth", weights_only=True)
    torch.save({**other, "head.linear_4.bias": torch.ones(1)}, place / "faramir-v1.pth")
    with Store(tuned.db) as store:
        found = known_scores(
            Judge(REGISTRY, WeightStore([place]), Runtime(device="cpu")), MarkStore(store), "faramir", tuned.contents
        )
    assert not found.found and found.outdated == 200 and len(found.vanished) == 200


def test_a_taste_on_siglip_scores_what_was_never_seen(tmp_path: Path) -> None:
    made = world(tmp_path / "w", 60, picky)
    random = np.random.RandomState(0)
    for index in range(48):
        red = index % 2 == 0
        colour = (200 + index, 10, 10) if red else (10, 10, 200 + index)
        noise = random.randint(-8, 8, (48, 48, 3))
        path = tmp_path / ("red" if red else "blue") / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8)).save(path)
    db = ["--db", tmp_path / "k.db"]
    assert run("labels", "--keep", tmp_path / "red", "--reject", tmp_path / "blue", *db).returncode == 0
    options = [*db, "--models", made.weights]
    done = run("tune", "taste", "--on", "siglip", "--name", "red", *options)
    assert done.returncode == 0, done.stderr
    assert "48 labelled images were scored first" in done.stderr
    again = run("tune", "taste", "--on", "siglip", "--name", "red", *options)
    assert again.returncode == 0 and "scored first" not in again.stderr
    gate = ["--gate", "accept: taste:red.keep >= 0.5"]
    found = keepers("scan", tmp_path / "red", tmp_path / "blue", "--jsonl", "-", *gate, *options)
    verdicts = [json.loads(line) for line in found.stdout.splitlines()]
    assert len(verdicts) == 48, found.stderr
    assert all((one["verdict"] == "accept") == ("/red/" in Path(one["path"]).as_posix()) for one in verdicts)


@pytest.mark.parametrize(("low", "saved"), [(-0.01, False), (0.0, False), (0.001, True)])
@pytest.mark.parametrize("before", [None, np.array([0.1])])
def test_only_a_gain_that_is_certain_is_saved(
    low: float, saved: bool, before: NDArray[np.float64] | None, tmp_path: Path
) -> None:
    """The gain itself is 0.2 each time; what counts is whether its interval lies above 0."""
    mark = UserMark("a" * 64, "keep", "review", 1.0)
    provenance = Provenance("probe", "siglip", "f" * 16, "2026-01-01T00:00:00Z", 20, 20, "d" * 16, {}, {})
    learned = Learned(
        "taste:mine",
        WeightFile("mine.safetensors", folder="taste"),
        {"bias": np.zeros(1, np.float32)},
        provenance,
        Turned([mark], np.array([0.9]), before),
        (),
        Measurement(0.2, low, 0.4),
    )
    if saved:
        _save(learned, tmp_path, False)
    else:
        with pytest.raises(KeepersError, match="was not saved"):
            _save(learned, tmp_path, False)
    assert (tmp_path / "taste" / "mine.safetensors").exists() == saved
