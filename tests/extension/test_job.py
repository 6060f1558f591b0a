"""Whole jobs in the stub of the WebUI: what becomes of files, gallery, infotexts, grids and comments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from keepers.core.metadata.record import from_json
from keepers.core.prediction import argmax_label
from keepers.core.spec import Build, ModelSpec, Network
from keepers.models.registry import REGISTRY
from keepers.tests.extension.webui_stub import BAD, DOUBTFUL, GOOD, Host, settings_of, stubbed, with_tiny_models
from keepers.tests.tiny import LABELS, VIEW


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


def verdicts(result: Any) -> list[str]:
    first = result.index_of_first_image
    return [settings_of(text).get("Keepers", "") for text in result.infotexts[first:]]


def no_errors() -> bool:
    from modules import errors

    return errors.reports == []


def test_off_nothing_is_touched(host: Host) -> None:
    p = host.job(GOOD, BAD)
    p.script_args = (0, False, {"gate": "nonsense"})
    before = set(vars(p)) | {"all_prompts", "_keepers_job"}
    result = host.run(p)
    assert host.samples == ["00000-100.png", "00001-101.png"] and len(result.images) == 3
    assert not any("Keepers" in text for text in result.infotexts) and result.comments == ""
    new = set(vars(p)) - before
    assert new == {"iteration", "prompts", "negative_prompts", "seeds", "subseeds", "batch_index"}
    assert host.work.batches == [] and no_errors()


@pytest.mark.parametrize(("precision", "good"), [("exact", "0.05"), ("fast", "0.06")])
def test_scores_are_in_every_images_own_infotext(host: Host, precision: str, good: str) -> None:
    host.shared.opts.data["keepers_precision"] = precision  # "auto" is fast where bfloat16 is
    result = host.run(host.job(GOOD, DOUBTFUL, BAD, GOOD, batch=2, on_review="keep", on_reject="keep"))
    assert verdicts(result) == ["accept", "review", "reject", "accept"]
    assert "Keepers" not in settings_of(result.infotexts[0]), "the grid has no verdict"
    reasons = [settings_of(text).get("Keepers reason") for text in result.infotexts[1:]]
    assert reasons[2] == f"cheap.good {good} < 0.60; bad"
    assert settings_of(result.infotexts[1])["Keepers cheap"].startswith("good")
    assert settings_of(result.infotexts[1])["Keepers gate"].count("cheap.good") == 2
    chunk = host.read("00002-102.png")
    record = from_json(chunk["keepers"])
    assert record is not None and record.verdict == "reject" and record.scores["cheap"]["good"] < 0.1
    assert chunk["parameters"] == result.infotexts[3]
    assert no_errors()


def test_the_answer_to_a_request_tells_of_every_image(host: Host) -> None:
    p = host.job(GOOD, BAD, on_reject="drop")
    p.is_api = True
    told = json.loads(host.run(p).js())["extra_generation_params"]
    assert [one["verdict"] for one in told["Keepers images"]] == ["accept", "reject"]
    assert [one["in_result"] for one in told["Keepers images"]] == [True, False]
    assert told["Keepers images"][0]["scores"]["cheap"]["good"] > 0.8
    assert "accepted 1 of 2" in told["Keepers summary"]


def test_subfolders_with_own_numbers_and_the_hosts_date_folders(host: Host) -> None:
    p = host.job(BAD, GOOD, BAD, DOUBTFUL)
    folder = p.outpath_samples
    result = host.run(p)
    assert host.files("samples") == [
        "2026-01-31/00000-101.png",
        "rejected/2026-01-31/00000-100.png",
        "rejected/2026-01-31/00001-102.png",
        "review/2026-01-31/00000-103.png",
    ]
    assert p.outpath_samples == folder and p.do_not_save_grid is False
    assert verdicts(result) == ["accept", "review"], "rejected images leave the gallery, those to review stay"
    assert result.all_seeds == [101, 103]
    assert "2 rejected (saved in" in result.comments and "1 to review" in result.comments
    assert not any(key.startswith("Keepers") for key in p.extra_generation_params)
    assert no_errors()


def test_dropped_images_leave_no_file_and_are_counted(host: Host) -> None:
    result = host.run(host.job(BAD, GOOD, BAD, GOOD, batch=2, on_reject="drop", early=False))
    assert host.samples == ["00000-101.png", "00001-103.png"]
    assert verdicts(result) == ["accept", "accept"] and result.all_seeds == [101, 103]
    assert "accepted 2 of 4, 2 rejected (dropped)" in result.comments
    assert no_errors()


@pytest.mark.parametrize("early", [True, False])
@pytest.mark.parametrize("policy", ["drop", "subfolder"])
def test_a_job_of_which_nothing_is_left_ends_well(host: Host, policy: str, early: bool) -> None:
    result = host.run(host.job(BAD, BAD, BAD, BAD, batch=2, on_reject=policy, early=early))
    assert result.images == [] and len(result.infotexts) == 1
    assert "accepted 0 of 4" in result.comments
    assert len(host.samples) == (0 if policy == "drop" else 4)
    assert no_errors()


def test_the_grid_is_made_of_what_is_left(host: Host) -> None:
    result = host.run(host.job(GOOD, BAD, GOOD, GOOD, early=False))
    assert result.index_of_first_image == 1 and len(result.images) == 4
    assert result.images[0].width == 3 * 32
    [grid] = host.files("grids")
    with Image.open(host.folder / "out" / "grids" / grid) as saved:
        assert saved.width == 3 * 32 and "Keepers" not in saved.info["parameters"]
    assert result.info == result.infotexts[0]


@pytest.mark.parametrize(("option", "grids", "shown"), [("return_grid", 1, 0), ("grid_save", 0, 1)])
def test_the_hosts_grid_options_are_respected(host: Host, option: str, grids: int, shown: int) -> None:
    host.shared.opts.data[option] = False
    result = host.run(host.job(GOOD, GOOD, BAD))
    assert (len(host.files("grids")), result.index_of_first_image) == (grids, shown)


def test_a_job_that_wants_no_grid_gets_none(host: Host) -> None:
    p = host.job(GOOD, GOOD)
    p.do_not_save_grid = True
    result = host.run(p)
    assert len(result.images) == 2 and p.do_not_save_grid is True and not host.files("grids")


def test_an_early_discard_keeps_every_list_in_step(host: Host) -> None:
    p = host.job(BAD, GOOD, GOOD, BAD, GOOD, GOOD, batch=3)
    p.prompt = [f"prompt {k}" for k in range(6)]
    p.main_prompt = "prompt 0"
    result = host.run(p)
    assert host.samples == [
        *("00000-101.png", "00001-102.png", "00002-104.png", "00003-105.png"),
        *("rejected/00000-100.png", "rejected/00001-103.png"),
    ]
    assert result.all_seeds == [101, 102, 104, 105]
    assert result.all_prompts == ["prompt 1", "prompt 2", "prompt 4", "prompt 5"]
    assert result.all_subseeds == [8, 9, 11, 12]
    assert p.all_seeds == [101, 102, 100, 104, 105, 103], "kept ones first, for scripts that count by place"
    for text, seed, prompt in zip(result.infotexts[1:], [101, 102, 104, 105], [1, 2, 4, 5], strict=True):
        assert settings_of(text)["Seed"] == str(seed) and text.startswith(f"prompt {prompt}\n")
    rejected = host.read("00001-103.png")
    assert rejected["parameters"].startswith("prompt 3\n") and "Keepers: reject" in rejected["parameters"]
    assert "Seed: 103" in rejected["parameters"]
    assert no_errors()


def test_an_image_that_nothing_changed_is_not_judged_twice(host: Host) -> None:
    host.run(host.job(GOOD, GOOD))
    assert host.work.images("cheap") == 2


def test_an_image_that_was_changed_afterwards_is_judged_as_it_is_saved(host: Host) -> None:
    class Painter(host.scripts.Script):
        def title(self) -> str:
            return "painter"

        def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
            pp.image = Image.new("RGB", pp.image.size, BAD)

    host.others.append(Painter())
    result = host.run(host.job(GOOD, on_reject="keep"))
    assert verdicts(result) == ["reject"] and host.work.images("cheap") == 2


def test_dear_models_are_asked_late_and_only_when_they_can_decide(host: Host) -> None:
    gate = "accept: cheap.good >= 0.6 and dear.good >= 0.6"
    result = host.run(host.job(BAD, GOOD, gate=gate, on_reject="keep", everything=False))
    assert verdicts(result) == ["reject", "accept"]
    assert host.work.images("dear") == 1
    host.run(host.job(BAD, GOOD, gate=gate, on_reject="keep", everything=True, early=False))
    assert host.work.images("dear") == 3


class Restorer:
    """As ADetailer: in the midst of a job it ends and begins it for other scripts, on a copy of `p`."""

    def __init__(self, host: Host) -> None:
        base = host.scripts.Script

        class Script(base):
            need_call_process = True
            seen: list[int] = []  # noqa: RUF012 - one test, one list

            def title(self) -> str:
                return "detailer"

            def postprocess_image(self, p: Any, pp: Any, *args: Any) -> None:
                from copy import copy

                from modules.processing import Processed

                self.seen.append(p.all_seeds[p.iteration * p.batch_size + p.batch_index])
                if p.batch_index == 0:
                    p.scripts.postprocess(copy(p), Processed(p, []))
                inner = copy(p)
                inner._ad_inner = True
                if p.batch_index == p.batch_size - 1:
                    p.scripts.before_process(copy(p))
                    p.scripts.process(copy(p))

        self.script = Script()


def test_a_detailers_inner_calls_do_not_end_the_job(host: Host) -> None:
    detailer = Restorer(host).script
    host.others.append(detailer)
    result = host.run(host.job(GOOD, BAD, GOOD, BAD, batch=2, attempts=2, wanted=3, early=False))
    assert host.shared.state.stopping_generation is False
    assert "accepted 4 of 6" in result.comments
    assert detailer.seen == [100, 101, 102, 103, 104, 105]
    assert no_errors()


def test_a_detailer_sees_the_seeds_of_the_images_that_are_left(host: Host) -> None:
    detailer = Restorer(host).script
    host.others.append(detailer)
    p = host.job(BAD, GOOD, BAD, GOOD, batch=2)
    p.script_args = (0, *p.script_args[1:])
    host.run(p)
    assert detailer.seen == [101, 103]


def test_a_detailer_that_counts_on_whole_batches_gets_them(host: Host) -> None:
    detailer = Restorer(host).script
    detailer.args_from, detailer.args_to = 1, 2  # its switch is on, as ours is
    host.others.append(detailer)
    result = host.run(host.job(BAD, GOOD, BAD, GOOD, batch=2))
    assert detailer.seen == [100, 101, 103], "only in the last batch may one leave early"
    assert verdicts(result) == ["accept", "accept"]


def test_the_inner_job_of_a_detailer_is_left_alone(host: Host) -> None:
    p = host.job(BAD)
    p._ad_inner = True
    result = host.run(p)
    assert len(result.images) == 1 and "Keepers" not in result.infotexts[0]


def test_a_second_job_with_the_same_object_starts_afresh(host: Host) -> None:
    """As the img2img batch tab does."""
    p = host.job(GOOD, BAD)
    host.run(p)
    result = host.run(p)
    assert "accepted 1 of 2" in result.comments and p.n_iter == 2
    assert host.samples == ["00000-100.png", "00001-100.png", "rejected/00000-101.png", "rejected/00001-101.png"]


def test_rejected_files_never_replace_each_other(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the user's pattern has no number, the host writes over a file of the same name."""
    monkeypatch.setattr("modules.images._next_number", lambda folder: 0)
    for _ in range(2):
        host.run(host.job(BAD, BAD))
    names = [name for name in host.samples if name.startswith("rejected/")]
    assert names == [f"rejected/00000-10{k}{end}.png" for k in (0, 1) for end in ("-1", "")]


def test_intermediates_and_masks_follow_their_image(host: Host) -> None:
    for name in ("save_images_before_highres_fix", "save_images_before_face_restoration", "save_mask", "return_mask"):
        host.shared.opts.data[name] = True
    p = host.job(GOOD, BAD, DOUBTFUL, GOOD, batch=2, early=False)
    p.enable_hr = p.restore_faces = True
    p.mask = Image.new("RGB", (32, 32))
    result = host.run(p)
    kinds = ("-before-highres-fix", "-before-face-restoration", "", "-mask")
    where = {(name.rpartition("/")[0], name.rpartition("/")[2][6:]) for name in host.samples}
    expected = {
        (folder, f"{seed}{kind}.png")
        for folder, seed in (("", 100), ("rejected", 101), ("review", 102), ("", 103))
        for kind in kinds
    }
    assert where == expected
    assert len(result.images) == 1 + 2 * 3, "a grid, and three images with their masks"
    assert verdicts(result) == ["accept", "review", "accept"]
    assert no_errors()


def test_with_a_dropped_image_its_intermediates_go_too(host: Host) -> None:
    host.shared.opts.data |= {"save_images_before_highres_fix": True, "save_txt": True}
    p = host.job(GOOD, BAD, on_reject="drop")
    p.enable_hr = True
    host.run(p)
    assert {name[6:] for name in host.samples} == {
        f"100{kind}.{end}" for kind in ("", "-before-highres-fix") for end in ("png", "txt")
    }


def test_what_the_host_does_not_save_stays_in_the_result_unless_it_is_dropped(host: Host) -> None:
    for policy, left in (("subfolder", 2), ("drop", 1)):
        p = host.job(GOOD, BAD, on_reject=policy)
        p.do_not_save_samples = True
        result = host.run(p)
        assert len(verdicts(result)) == left and host.samples == []


def test_rejected_images_are_shown_where_the_user_wants_to_see_them(host: Host) -> None:
    host.shared.opts.data["keepers_show_rejected"] = True
    result = host.run(host.job(GOOD, BAD, early=False))
    assert verdicts(result) == ["accept", "reject"]


def test_a_missing_model_sends_images_to_review_and_never_drops_them(host: Host) -> None:
    (host.folder / "models" / "keepers" / "cheap.safetensors").unlink()
    result = host.run(host.job(GOOD, BAD, on_reject="drop", on_review="drop"))
    assert host.samples == ["review/00000-100.png", "review/00001-101.png"]
    assert verdicts(result) == ["review (not judged)"] * 2
    assert "2 could not be judged (saved in" in result.comments
    assert "cheap.safetensors" in result.comments and "not on this machine" in result.comments


def test_a_model_file_that_was_put_in_place_is_found_by_the_next_job(host: Host) -> None:
    file = host.folder / "models" / "keepers" / "cheap.safetensors"
    content = file.read_bytes()
    file.unlink()
    assert verdicts(host.run(host.job(GOOD))) == ["review (not judged)"]
    file.write_bytes(content)
    assert verdicts(host.run(host.job(GOOD))) == ["accept"]


@pytest.mark.parametrize("gate", ["accept: cheap.god > 1", "accept: nobody.good > 0.5", "accept: ("])
def test_a_gate_that_makes_no_sense_keeps_every_image_and_says_so(host: Host, gate: str) -> None:
    result = host.run(host.job(GOOD, BAD, gate=gate, on_reject="drop", on_review="drop", attempts=5))
    assert host.samples == ["00000-100.png", "00001-101.png"] and len(result.images) == 3
    assert verdicts(result) == ["review (not judged)"] * 2
    assert "Nothing was judged" in result.comments


@pytest.mark.parametrize(
    "where",
    [
        "job.early.begin_batch",
        "job.judging.judge_final",
        "job.destination.direct",
        "job.late.finish",
        "job.retry.keep_best",
        "job.begin.install",
        "job.captions.caption",
    ],
)
def test_a_failing_hook_never_loses_an_image(host: Host, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(f"keepers.extension.{where}", broken)
    p = host.job(GOOD, BAD, GOOD, on_reject="drop", early=False)
    folder = p.outpath_samples
    result = host.run(p)
    # In these the verdicts hold, so what was to be dropped is.
    stand = {
        "job.early.begin_batch",
        "job.late.finish",
        "job.retry.keep_best",
        "job.begin.install",
        "job.captions.caption",
    }
    assert len(host.samples) == (2 if where in stand else 3)
    assert len(result.images) >= 2 and p.outpath_samples == folder and p.do_not_save_grid is False
    assert "the sky fell" in result.comments


def test_pixels_that_are_no_numbers_go_to_review(host: Host) -> None:
    class Breaker(host.scripts.Script):
        def title(self) -> str:
            return "breaker"

        def postprocess_batch_list(self, p: Any, pp: Any, *args: Any, **kwargs: Any) -> None:
            pp.images[0][0, 0, 0] = float("nan")

    host.others.append(Breaker())
    result = host.run(host.job(GOOD, on_review="drop"))
    assert verdicts(result) == ["review (not judged)"] and host.samples == ["review/00000-100.png"]


def test_an_interrupted_job_keeps_what_it_made(host: Host) -> None:
    class Stopper(host.scripts.Script):
        def title(self) -> str:
            return "stopper"

        def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
            host.shared.state.interrupted = p.iteration == 1

    host.others.append(Stopper())
    result = host.run(host.job(GOOD, BAD, BAD, on_reject="drop", attempts=3))
    assert host.samples == ["00000-100.png", "00001-101.png"]
    assert verdicts(result) == ["accept", "not judged"]
    assert "1 kept without a verdict" in result.comments and "interrupted" in result.comments


def test_formats_without_text_chunks_carry_the_record_too(host: Host) -> None:
    from keepers.core.metadata.write import read_record

    host.shared.opts.data["samples_format"] = "jpg"
    host.run(host.job(GOOD))
    record = read_record(host.folder / "out" / "samples" / "2026-01-31" / "00000-100.jpg")
    assert record is not None and record.verdict == "accept"


def test_without_metadata_no_record_is_written(host: Host) -> None:
    host.shared.opts.data["enable_pnginfo"] = False
    host.run(host.job(GOOD))
    assert host.read("00000-100.png") == {}


@pytest.mark.parametrize("early", [True, False])
def test_duplicates_within_a_job_are_found(host: Host, monkeypatch: pytest.MonkeyPatch, early: bool) -> None:
    pictures = [Image.effect_mandelbrot((64, 64), (x, -1.0, x + 2.0, 1.0), 60).convert("RGB") for x in (-2, -1, -2)]
    p = host.job(gate='review: signals.label == "duplicate"', early=early)
    p.paint, p.n_iter = lambda seed: pictures[seed - 100], 3
    result = host.run(p)
    assert verdicts(result) == ["accept", "accept", "review"]
    assert host.run(host.job(gate='review: signals.label == "duplicate"')).comments == "Keepers accepted 1 of 1.\n"


def test_frames_of_a_video_are_never_taken_out(host: Host) -> None:
    class Video(host.scripts.Script):
        def title(self) -> str:
            return "video"

        def postprocess_batch_list(self, p: Any, pp: Any, *args: Any, **kwargs: Any) -> None:
            pp.images += [pp.images[0].clone() for _ in range(3)]
            p.prompts, p.seeds = p.prompts * 4, p.seeds * 4  # but not its other lists

    host.others.append(Video())
    result = host.run(host.job(BAD, on_reject="subfolder"))
    assert len([name for name in host.samples if name.startswith("rejected/")]) == 4 and result.images == []


def test_on_hosts_that_take_plain_values_each_image_gets_its_own_and_nothing_is_left(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keepers.extension.job.begin.asks_each_image", lambda: False)
    p = host.job(GOOD, BAD, DOUBTFUL, on_reject="keep", on_review="keep")
    result = host.run(p)
    assert verdicts(result) == ["accept", "reject", "review"]
    assert not any(key.startswith("Keepers") for key in p.extra_generation_params)
    assert "Keepers" not in settings_of(result.infotexts[0])


class Seeing(torch.nn.Module):
    """A net that finds its answer in the upper left corner."""

    def forward(self, view: torch.Tensor) -> torch.Tensor:
        good = view.mean((1, 2, 3))
        return torch.stack([good, 1 - good], 1)

    def heatmap(self, view: torch.Tensor, *, targets: Any, method: str) -> tuple[torch.Tensor, ...]:
        values = self(view)
        maps = torch.zeros(len(view), 4, 4)
        maps[:, 0, 0] = 1
        return values, values.argmax(1) if targets is None else targets, maps


def test_heatmaps_are_shown_behind_the_images(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def build(_: Build) -> Network:
        return Network(Seeing(), LABELS, (VIEW,), partial(argmax_label, LABELS))

    seeing = ModelSpec("seeing", "Seeing", "", "", "none", build)
    monkeypatch.setitem(REGISTRY._specs, "seeing", seeing)  # pyright: ignore[reportPrivateUsage]  # for this test only
    p = host.job(GOOD, BAD, heatmap="seeing", on_reject="keep")
    host.run(p)
    assert len(p.extra_result_images) == 2
    shown = p.extra_result_images[1].convert("L")
    assert shown.getpixel((2, 2)) > shown.getpixel((28, 28))
    without = host.job(GOOD, heatmap="cheap")
    assert "cheap cannot say where" in host.run(without).comments and without.extra_result_images == []


@pytest.mark.parametrize("name", ["../../evil", "/evil", "C:\\evil", "a/../../evil", "", " ", "CON", "x\0y"])
def test_a_subfolder_never_leads_out_of_the_output_folder(host: Host, name: str) -> None:
    host.shared.opts.data["keepers_rejected"] = name
    result = host.run(host.job(GOOD, BAD))
    assert host.samples == ["00000-100.png", "00001-101.png"] and "Nothing was judged" in result.comments
    assert not list(host.folder.rglob("*evil*"))


def test_a_subfolder_that_cannot_be_made_costs_no_image(host: Host) -> None:
    blocked = host.folder / "out" / "samples" / "rejected"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a folder should be")
    result = host.run(host.job(GOOD, BAD, early=False))
    assert host.samples == ["00000-100.png", "00001-101.png", "rejected"]
    assert "stays in the WebUI's own folder" in result.comments and len(result.images) == 3


def gone_early(p: Any) -> list[int]:
    """The seeds of the images that left before face restoration."""
    return [item.seed for item in p._keepers_job.items if item.gone == "early"]


def test_only_a_whole_picture_is_judged_early(host: Host) -> None:
    usual = host.job(BAD, GOOD, BAD, GOOD, batch=2, on_reject="drop")
    host.run(usual)
    assert gone_early(usual) == [100, 102]
    inpainted = host.job(BAD, GOOD, BAD, GOOD, batch=2, on_reject="drop")
    inpainted.paste_to = (0, 0, 8, 8)
    host.run(inpainted)
    assert gone_early(inpainted) == []


def test_a_dear_model_is_not_asked_early(host: Host) -> None:
    from keepers.core.gates.gate import Gate
    from keepers.extension.job.judging import cheap_models

    assert cheap_models(Gate.parse("accept: dear.good > 0.5 and cheap.good > 0.5")) == ("cheap",)
