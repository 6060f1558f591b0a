"""Outputs read again: row by row, beside the store, and under another gate; nothing is ever guessed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.cluster.output import known as read_known
from keepers.cluster.output import schema
from keepers.cluster.output.gate import OutputGate, clear_answers, row_answers
from keepers.cluster.output.known import KnownOutputs
from keepers.cluster.output.output import CHUNK, Output, OutputError
from keepers.cluster.output.parts import RowPlace, image_rows, picked, pieces
from keepers.cluster.output.predictions import is_whole, predictions
from keepers.cluster.output.schema import ImageRow, ModelColumn
from keepers.cluster.sources.item import SourceItem
from keepers.collection.store import SeenFile, SeenImage, Store
from keepers.core.errors import GateError
from keepers.core.gates.gate import Gate
from keepers.core.judging.judge import Judge
from keepers.core.prediction import Failure, Prediction
from keepers.core.runtime import Runtime
from keepers.core.weights.store import WeightStore
from keepers.models.registry import REGISTRY
from keepers.models.signals.signals import LABELS as SIGNALS
from keepers.tests.cluster.output.world import FULL, GATE, SPARSE, content, damage, row, said, write

SIGNAL = ModelColumn("signals", "f-signals", SIGNALS)


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    return Judge(REGISTRY, WeightStore([tmp_path]), Runtime(device="cpu", precision="exact"))


def signal(bits: int, label: str = "ok") -> Prediction:
    """What `signals` says of a picture whose hash is these bits."""
    values = np.zeros(len(SIGNALS), np.float32)
    values[SIGNALS.index("ok")] = label == "ok"
    values[SIGNALS.index("hash3")] = bits
    return Prediction("signals", SIGNALS, values, label, fingerprint="f-signals")


def decided(judge: Judge, gate: str, one: ImageRow, *models: ModelColumn) -> str:
    """The reason of a row's verdict after it was written and read."""
    return anew(judge, gate, [one], *models)[0]


def anew(judge: Judge, gate: str, rows: list[ImageRow], *models: ModelColumn) -> list[str]:
    found = schema.to_table(rows, models)
    asked = OutputGate(Gate.parse(gate), "out", settings_of(*models), judge)
    asked.check()
    chosen = found.select([name for name in found.column_names if name in asked.columns])
    return [asked.verdict(one).reason for one in image_rows(chosen, asked.models)]


def settings_of(*models: ModelColumn):
    from keepers.cluster.output.output import OutputSettings

    return OutputSettings(GATE, True, models=models)


# --- rows ----------------------------------------------------------------------------------------------------------


def mixed(count: int) -> list[ImageRow]:
    """Rows of every kind: asked and not, failed, NaN, of limited precision."""
    random = np.random.default_rng(1)
    rows: list[ImageRow] = []
    for number in range(count):
        values = random.random(6)
        answers = [said(FULL, *values[:2], tolerance=1.0, margin=0.2), said(SPARSE, *values[2:])]
        if number % 5 == 1:
            answers = answers[:1]
        if number % 5 == 2:
            answers[1] = said(SPARSE, np.nan, 0.1, 0.9, np.nan)
        if number % 5 == 3:
            failed = Failure("tags", "model_failed", "out of memory")
            rows.append(replace(row(number, *answers[:1]), answers={"nice": answers[0], "tags": failed}))
            continue
        rows.append(row(number, *answers, prompt=f"prompt {number}"))
    return rows


def same(one: ImageRow, other: ImageRow) -> bool:
    assert one.answers.keys() == other.answers.keys()
    for model, answer in one.answers.items():
        again = other.answers[model]
        if isinstance(answer, Prediction) and isinstance(again, Prediction):
            assert np.array_equal(answer.values, again.values, equal_nan=True)
            assert (answer.label, answer.margin, answer.tolerance, answer.fingerprint) == (
                again.label,
                again.margin,
                again.tolerance,
                again.fingerprint,
            )
        else:
            assert answer == again
    return replace(one, answers={}) == replace(other, answers={})


def test_an_output_from_before_it_told_what_could_not_be_judged(tmp_path: Path) -> None:
    rows = [row(n, said(FULL, 0.9, np.nan if n else 0.1), gate="accept: nice.bad >= 0") for n in range(2)]
    output = write(tmp_path / "out", rows, gate="accept: nice.bad >= 0", parts=1)
    assert [one.verdict.judged for one in output.image_rows()] == [True, False]
    [name] = output.parts()
    path = tmp_path / "out" / "images" / name
    pq.write_table(pq.read_table(path).drop_columns(["unjudged"]), path)
    assert [one.verdict for one in output.image_rows()] == [replace(one.verdict, unjudged=()) for one in rows]
    assert output.part(name).schema == schema.file_schema((FULL, SPARSE)), "so that new rows can stand beside the old"
    assert output.part(name, ["unjudged", "key"]).num_rows == 2
    pq.write_table(pq.read_table(path).drop_columns(["failures"]), path)
    with pytest.raises(OutputError, match="no column failures"):
        output.part(name)


def test_rows_are_read_as_the_schema_reads_them() -> None:
    found = schema.to_table(mixed(23), (FULL, SPARSE))
    for table in (found, found.slice(3, 11), found.take([20, 1, 1, 7]), found.slice(5, 0)):
        expected = schema.from_table(table, (FULL, SPARSE))
        assert len(expected) == len(table)
        assert all(map(same, expected, image_rows(table, (FULL, SPARSE))))
    assert predictions(found.slice(1, 1), SPARSE) == [None]


def test_all_rows_and_chosen_rows(tmp_path: Path) -> None:
    count = 2 * CHUNK + 100
    output = write(tmp_path / "out", [row(n, said(FULL, 0.6, 0.4)) for n in range(count)], (FULL,), parts=1)
    spots = [(first, len(table)) for first, table in pieces(output, ("content",))]
    (name,) = output.parts()
    assert spots == [(RowPlace(name, 0), CHUNK), (RowPlace(name, CHUNK), CHUNK), (RowPlace(name, 2 * CHUNK), 100)]
    every = [one for _, table in pieces(output, ("content",)) for one in table["content"].to_pylist()]
    assert sorted(every) == sorted(map(content, range(count)))
    wanted = [RowPlace(name, place) for place in (count - 1, 3, 5, CHUNK - 1)]
    found = {
        spot: text
        for spots, t in picked(output, wanted, ("content",))
        for spot, text in zip(spots, t["content"].to_pylist(), strict=True)
    }
    assert found == {spot: every[spot.row] for spot in wanted}
    assert list(picked(output, [], ("content",))) == []


def test_an_address_is_read_like_a_folder() -> None:
    output = write("memory://outputs/one", mixed(10))
    assert Output.at("memory://outputs/one").require_settings().models == (FULL, SPARSE)
    assert sum(len(table) for _, table in pieces(output, ("content",))) == 10


def test_a_file_that_was_cut_off_is_told(tmp_path: Path) -> None:
    output = write(tmp_path / "out", mixed(10))
    name = damage(output)
    with pytest.raises(OutputError, match=f"{name} .*cut off, or is not ours"):
        list(pieces(output, ("content",)))
    with pytest.raises(OutputError, match="holds no results"):
        KnownOutputs(Store(tmp_path / "k.db"), [Output.at(str(tmp_path))])


# --- beside the store ----------------------------------------------------------------------------------------------


@pytest.fixture
def known(tmp_path: Path):
    """A store that knows images 0 and 1, and an output that knows 1 to 5; 5 lies in a tar."""
    said_of = [said(FULL, n / 10, 1 - n / 10) for n in range(6)]
    rows = [row(n, said_of[n], said(SPARSE, 0.9, 0, 0, 0), uri=f"/pictures/{n}.png") for n in range(1, 5)]
    rows.append(row(5, said_of[5], item=SourceItem("s3://bucket/all.tar", "five.png", 512, 10, 9999)))
    rows.append(replace(row(2, said(FULL, 0.21, 0.79, tolerance=1.0)), item=SourceItem("https://host/again.png")))
    output = write(tmp_path / "out", rows)
    with Store(tmp_path / "k.db") as store:
        store.add(
            files=[SeenFile(Path(f"/store/{n}.png"), 1, 1, content(n)) for n in (0, 1)],
            images=[SeenImage(content(n), 1, 1, "from the store") for n in (0, 1)],
            predictions=[(content(n), replace(said_of[n], notes=())) for n in (0,)],
        )
        yield KnownOutputs(store, [output])


def test_the_store_is_asked_first_then_the_outputs(known: KnownOutputs) -> None:
    wanted = [content(n) for n in range(8)]
    found = known.predictions(wanted, "nice", "f-nice")
    assert {one: round(answer["good"], 3) for one, answer in found.items()} == {content(n): n / 10 for n in range(6)}
    assert found[content(2)].tolerance == 0, "of two predictions the exact one"
    places = known.paths(wanted)
    assert {one: [path.as_posix() for path in paths] for one, paths in places.items()} == {
        **{content(n): [f"/store/{n}.png"] for n in (0, 1)},
        **{content(n): [f"/pictures/{n}.png"] for n in (2, 3, 4)},
    }
    assert known.addresses([content(5), content(2), content(3)]) == {
        content(5): "s3://bucket/all.tar#five.png",
        content(2): "https://host/again.png",
    }
    images = known.images(wanted)
    assert images[content(1)].positive == "from the store" and images[content(3)].seed == "3"
    assert content(7) not in images


def test_the_hashes_are_read_once(known: KnownOutputs, monkeypatch: pytest.MonkeyPatch) -> None:
    passes: list[object] = []
    monkeypatch.setattr(read_known, "pieces", lambda *asked: passes.append(asked) or pieces(*asked))
    wanted = [content(n) for n in range(8)]
    known.predictions(wanted, "nice", "f-nice")
    known.images(wanted[:4])
    known.paths(wanted[2:])
    assert len(passes) == 1
    known.paths([content(99)])
    assert len(passes) == 2


def test_other_weights_and_sparse_tags_are_not_served(known: KnownOutputs) -> None:
    wanted = [content(n) for n in range(8)]
    assert known.predictions(wanted, "nice", "other") == {}
    assert known.predictions(wanted, "tags", "f-tags") == {}
    assert known.other_fingerprints(wanted, "nice", "other") == {content(n) for n in range(6)}
    assert known.other_fingerprints(wanted, "nice", "f-nice") == set()
    assert known.unusable("nice", "f-nice") == []
    (told,) = known.unusable("tags", "f-tags")
    assert "only from 0.25 on" in told and "--tag-floor 0" in told
    (told,) = known.unusable("nice", "other")
    assert "fingerprint f-nice, here other" in told
    (told,) = known.unusable("siglip", "x")
    assert "was not asked about siglip" in told
    assert not is_whole(SPARSE) and is_whole(replace(SPARSE, floor=0.0)) and is_whole(FULL)


def test_every_image_is_counted(known: KnownOutputs) -> None:
    found: dict[str, float] = {}
    for part in known.every("nice", "f-nice"):
        found.update({one: answer["good"] for one, answer in part.items()})
    assert set(found) == {content(n) for n in range(6)}


# --- another gate --------------------------------------------------------------------------------------------------


def test_the_same_gate_says_the_same(judge: Judge) -> None:
    rows = mixed(20)
    assert anew(judge, GATE, rows, FULL, SPARSE) == [one.verdict.reason for one in rows]


def test_what_was_not_asked_is_for_review(judge: Judge) -> None:
    one = row(1, said(FULL, 0.9, 0.1))
    gate = "accept: nice.good > 0.5 and tags.cat > 0.5"
    assert decided(judge, gate, one, FULL, SPARSE) == "review: not asked about this image: tags"
    low = row(1, said(FULL, 0.1, 0.9))
    assert decided(judge, gate, low, FULL, SPARSE) == "reject: nice.good 0.10 <= 0.50; bad"


def test_what_is_too_near_a_threshold_is_for_review(judge: Judge) -> None:
    one = row(1, said(FULL, 0.9, 0.1, tolerance=2.0))
    assert decided(judge, "accept: nice.good > 0.5", one, FULL).startswith("accept")
    assert decided(judge, "accept: nice.good > 0.89", one, FULL).startswith("review: too near a threshold")


def test_a_tolerance_of_an_earlier_version_is_trusted_less(judge: Judge) -> None:
    one = row(1, said(FULL, 0.9, 0.1, tolerance=0.03))
    assert decided(judge, "accept: nice.good > 0.74", one, FULL).startswith("accept")
    assert decided(judge, "accept: nice.good > 0.76", one, FULL).startswith("review: too near a threshold")


def test_settings_keep_what_is_stated_of_drifts() -> None:
    from keepers.cluster.output.output import OutputSettings

    settings = settings_of(FULL, SPARSE)
    facts = json.loads(json.dumps(settings.facts()))
    assert OutputSettings.of(facts).states(settings)
    for model in facts["models"]:
        del model["labels"]["drifts"]  # as an earlier version wrote it
    old = OutputSettings.of(facts)
    assert not old.states(settings) and not old.differences(settings)


def test_a_model_that_the_output_lacks_is_refused(judge: Judge) -> None:
    one = row(1, said(FULL, 0.9, 0.1))
    with pytest.raises(OutputError, match="out was not asked about faramir, so it cannot tell; it holds nice, tags"):
        decided(judge, "accept: faramir.accept > 0.5", one, FULL, SPARSE)
    with pytest.raises(GateError, match="wolf"):
        decided(judge, "accept: tags.wolf > 0.5", one, FULL, SPARSE)


def test_an_unreadable_image_stays_what_it_was(judge: Judge) -> None:
    one = row(1, error="truncated")
    assert decided(judge, "", one, FULL) == "review: truncated"


@pytest.mark.parametrize(
    ("gate", "expected"),
    [
        ("accept: tags.dog >= 0.5", "reject: tags.dog below 0.25 < 0.50"),  # left out, so it is below 0.25
        ("accept: tags.dog >= 0.25", "reject: tags.dog"),
        ("accept: tags.dog >= 0.2", "review: the output keeps tags.dog only from 0.25 on"),
        ("accept: tags.dog < 0.3", "accept: tags.dog"),
        ("accept: tags.dog < 0.1", "review: the output keeps tags.dog only from 0.25 on"),
        ("accept: tags.dog != 0.1", "review: the output keeps tags.dog only from 0.25 on"),
        ("accept: 0.3 <= tags.dog", "reject: tags.dog below 0.25 < 0.30"),
        ("accept: tags.cat > tags.dog", "review: the output keeps tags.dog only from 0.25 on"),
        ("accept: tags.owl >= 0.05", "accept: tags.owl 0.10 >= 0.05"),  # the gate of the scan asked for it
        ("accept: tags.cat >= 0.2", "accept: tags.cat 0.90 >= 0.20"),
        ("accept: tags.label == 'cat'", "accept: tags is cat"),
    ],
)
def test_tags_that_were_left_out_are_not_taken_for_nothing(judge: Judge, gate: str, expected: str) -> None:
    one = row(1, said(FULL, 0.9, 0.1), said(SPARSE, 0.9, 0.2, 0.0, 0.1))
    assert decided(judge, gate, one, FULL, SPARSE).startswith(expected)


GATES = st.builds(
    "accept: tags.{} {} {} and {}tags.{} {} {}".format,
    *(st.sampled_from(["cat", "dog", "owl"]), st.sampled_from(["<", "<=", ">", ">=", "!="])),
    *(st.sampled_from([0.1, 0.25, 0.3, 0.7]), st.sampled_from(["", "not "])),
    *(st.sampled_from(["cat", "dog", "fox"]), st.sampled_from(["<", ">="]), st.sampled_from([0.05, 0.25, 0.5])),
)


@settings(max_examples=150, deadline=None)
@given(
    GATES, st.lists(st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.26, 0.3, 0.7, 1.0]), min_size=4, max_size=4), st.booleans()
)
def test_a_verdict_from_few_tags_is_right_or_for_review(gate: str, values: list[float], fast: bool) -> None:
    judge = Judge(REGISTRY, WeightStore([]), Runtime(device="cpu", precision="exact"))
    one = row(1, said(FULL, 0.9, 0.1), said(SPARSE, *values, tolerance=1.0 if fast else 0.0))
    decision = Gate.parse(gate).decide(one.answers).verdict
    true = decision.outcome if decision else "review"
    sparse, full = (decided(judge, gate, one, FULL, column) for column in (SPARSE, replace(SPARSE, floor=None)))
    assert full.partition(":")[0] == true
    assert sparse.partition(":")[0] in (true, "review")


def test_a_page_shows_no_number_that_was_left_out() -> None:
    table = schema.to_table([row(1, said(FULL, 0.9, 0.1), said(SPARSE, 0.9, 0.2, 0.0, 0.1))], (FULL, SPARSE))
    (one,) = image_rows(table, (FULL, SPARSE))
    shown = clear_answers(one, (FULL, SPARSE))["tags"]
    assert isinstance(shown, Prediction)
    assert np.array_equal(shown.values, np.array([0.9, np.nan, np.nan, 0.1], np.float32), equal_nan=True)


# --- near-duplicates -----------------------------------------------------------------------------------------------


def test_duplicates_count_in_another_gate(judge: Judge) -> None:
    first = row(1, signal(0), gate="accept: signals.ok == 1")
    second = replace(row(2, signal(3), gate="accept: signals.ok == 1"), distance=2, duplicate_of="one.png")
    rows = [first, second]
    told = anew(judge, "accept: signals.label == 'ok'", rows, SIGNAL)
    assert told == ["accept: signals is ok", "reject: signals is duplicate of one.png, not ok"]
    assert [reason.partition(":")[0] for reason in anew(judge, "reject: signals.duplicate >= 0.95", rows, SIGNAL)] == [
        "accept",
        "reject",
    ]
    told = anew(judge, "reject: signals.duplicate >= 0.8", rows, SIGNAL)
    assert told[0] == "accept: signals.duplicate 0.00 < 0.80; ok"
    assert told[1].startswith("reject: signals.duplicate 0.97 >= 0.80")
    answer = row_answers(second)["signals"]
    assert isinstance(answer, Prediction) and answer.notes == ("2 of 64 bits differ from one.png",)
