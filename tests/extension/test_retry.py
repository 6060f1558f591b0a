"""Making more until enough are accepted, the best where none is, and plots, in the stub of the WebUI."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keepers.core.gates.gate import Gate
from keepers.core.prediction import Prediction
from keepers.tests.extension.webui_stub import BAD, DOUBTFUL, GOOD, Host, settings_of, stubbed, with_tiny_models
from keepers.tests.tiny import LABELS

WORSE, WORST = (60, 60, 60), (0, 0, 0)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    with stubbed():
        made = Host(tmp_path)
        with_tiny_models(made.work, tmp_path / "models", monkeypatch)
        yield made


def paint(host: Host, *colours: tuple[int, int, int]) -> None:
    host.colours |= {100 + k: colour for k, colour in enumerate(colours)}


def test_more_are_made_until_enough_are_accepted(host: Host) -> None:
    p = host.job(BAD, BAD, attempts=5)
    paint(host, BAD, BAD, GOOD, BAD, GOOD, GOOD)
    result = host.run(p)
    assert result.all_seeds == [102, 104]
    assert "accepted 2 of 5, 3 rejected" in result.comments
    assert host.shared.state.stopping_generation is False and p.n_iter == 2


def test_the_limit_holds(host: Host) -> None:
    host.colours = dict.fromkeys(range(100, 200), BAD)
    p = host.job(BAD, BAD, attempts=3, on_reject="drop")
    result = host.run(p)
    assert "accepted 0 of 6" in result.comments and result.images == [] and host.samples == []


def test_how_many_are_wanted_can_be_said(host: Host) -> None:
    p = host.job(GOOD, attempts=10, wanted=3)
    assert host.run(p).all_seeds == [100, 101, 102]


def test_a_batch_that_brings_more_than_enough_loses_none(host: Host) -> None:
    p = host.job(BAD, GOOD, batch=2, attempts=4, wanted=2)
    result = host.run(p)
    assert result.all_seeds == [101, 102, 103]


def test_the_same_seeds_give_the_same_images_in_a_larger_job(host: Host) -> None:
    colours = [BAD, GOOD, BAD, GOOD]
    paint(host, *colours)
    retried = host.run(host.job(*colours[:2], attempts=2, on_reject="drop"))
    plain = host.run(host.job(*colours, on_reject="drop"))
    assert retried.all_seeds == plain.all_seeds == [101, 103]


@pytest.mark.parametrize("policy", ["subfolder", "drop", "keep"])
def test_the_best_is_kept_where_none_passes(host: Host, policy: str) -> None:
    p = host.job(WORST, WORSE, BAD, attempts=2, keep_best=True, on_reject=policy)
    paint(host, WORST, WORSE, BAD, BAD, WORST, BAD)
    result = host.run(p)
    own = [name for name in host.samples if not name.startswith("rejected/")]
    assert any(name.endswith("-101.png") for name in own)
    assert len(host.samples) == (1 if policy == "drop" else 6), "it is in one place only"
    assert "the best (seed 101) was kept" in result.comments
    if policy != "keep":
        assert result.all_seeds == [101] and len(own) == 1
        assert settings_of(result.infotexts[-1])["Keepers"] == "reject (kept as the best)"
        assert "Keepers: reject (kept as the best)" in host.read(own[0])["parameters"]


def test_an_image_to_review_is_better_than_a_rejected_one(host: Host) -> None:
    result = host.run(host.job(BAD, DOUBTFUL, WORSE, keep_best=True))
    assert "the best (seed 101) was kept" in result.comments
    assert "00000-101.png" in host.samples and not any("review" in name for name in host.samples)


def test_nothing_is_called_the_best_where_one_passes_or_none_could_be_judged(host: Host) -> None:
    assert "best" not in host.run(host.job(BAD, GOOD, keep_best=True)).comments
    (host.folder / "models" / "keepers" / "cheap.safetensors").unlink()
    from keepers.extension.host import host as lent

    lent.release()
    assert "best" not in host.run(host.job(BAD, BAD, keep_best=True)).comments


def test_where_the_host_cannot_be_stopped_nothing_more_is_tried(host: Host) -> None:
    del host.shared.state.stopping_generation
    result = host.run(host.job(BAD, WORST, attempts=5, keep_best=True))
    assert "accepted 0 of 2" in result.comments and "no further images were tried" in result.comments
    assert "the best (seed 100) was kept" in result.comments


def test_a_job_with_its_own_list_of_prompts_is_not_made_longer(host: Host) -> None:
    p = host.job(BAD, BAD, attempts=5)
    p.prompt, p.seed = ["one", "two"], [100, 101]
    result = host.run(p)
    assert "accepted 0 of 2" in result.comments and "no further ones were tried" in result.comments


def test_a_users_wish_to_stop_is_not_taken_back(host: Host) -> None:
    class Stopper(host.scripts.Script):
        def title(self) -> str:
            return "stopper"

        def process_batch(self, p: Any, *args: Any, **kwargs: Any) -> None:
            host.shared.state.stopping_generation = True

    host.others.append(Stopper())
    result = host.run(host.job(BAD, BAD, attempts=4))
    assert host.shared.state.stopping_generation is True and "of 1" in result.comments
    host.shared.state.stopping_generation = False


class Plot:
    """As the host's own script: each cell is a job with a copy of `p`, of which the first image is shown."""

    def __init__(self, host: Host, title: str = "X/Y/Z plot") -> None:
        class Selected(host.scripts.Script):
            def title(self) -> str:
                return title

        self.host, self.script = host, Selected()

    def cells(self, p: Any, count: int, **changes: list[Any]) -> list[Any]:
        p.scripts.selectable_scripts.append(self.script)
        p.script_args = (1, *p.script_args[1:])
        found: list[Any] = []
        for k in range(count):
            if self.host.shared.state.stopping_generation:
                break
            cell = copy(p)
            cell.seed = p.seed + 10 * k
            for name, values in changes.items():
                setattr(cell, name, values[k])
            found.append(self.host.run(cell))
        return found


def test_every_cell_of_a_plot_is_retried_and_shows_an_accepted_image(host: Host) -> None:
    host.colours = {100: BAD, 101: BAD, 102: GOOD, 110: GOOD, 120: BAD, 121: GOOD}
    p = host.job(attempts=4)
    p.n_iter = 1
    cells = Plot(host).cells(p, 3)
    assert [cell.all_seeds for cell in cells] == [[102], [110], [121]]


def test_a_cell_of_which_nothing_passes_shows_its_best(host: Host) -> None:
    host.colours = {100: WORST, 101: WORSE, 102: WORST}
    p = host.job(attempts=3, on_reject="drop")
    p.n_iter = 1
    [cell] = Plot(host).cells(p, 1)
    assert cell.all_seeds == [101] and len(cell.images) == 1


def test_scripts_that_put_images_together_get_all_of_them(host: Host) -> None:
    p = host.job(GOOD, BAD, BAD, GOOD, batch=2, attempts=3, on_reject="drop")
    [whole] = Plot(host, "Ultimate SD upscale").cells(p, 1)
    assert len(whole.images) == 4 + 1 and "another script" in whole.comments.lower()
    assert len(host.samples) == 2, "files are gated all the same"


def test_jobs_whose_results_are_put_in_a_row_are_treated_as_any_other(host: Host) -> None:
    host.colours = {100: BAD, 101: GOOD, **dict.fromkeys(range(110, 120), BAD), 120: GOOD}
    p = host.job(attempts=2, on_reject="drop")
    p.n_iter = 1
    jobs = Plot(host, "Prompts from file or textbox").cells(p, 3)
    assert [len(job.images) for job in jobs] == [len(job.infotexts) for job in jobs] == [1, 0, 1]
    assert [text.split(",")[0].rstrip(".") for text in p.comments] == [
        f"Keepers accepted {count}" for count in ("1 of 2", "0 of 2", "1 of 1")
    ]
    assert [seed for job in jobs if job.images for seed in job.all_seeds] == [101, 120]


def test_axes_are_offered_once_and_change_the_gate(host: Host) -> None:
    from modules import script_callbacks, scripts

    class Plotted:
        __module__ = "xyz_grid.py"

    module = SimpleNamespace(
        axis_options=[], AxisOption=lambda label, kind, apply, **_: SimpleNamespace(label=label, apply=apply)
    )
    scripts.scripts_data.append(scripts.ScriptClassData(Plotted, "", "", module))
    script_callbacks.call("before_ui")
    script_callbacks.call("before_ui")
    axes = {axis.label: axis for axis in module.axis_options}
    assert list(axes) == ["[Keepers] Preset", "[Keepers] Model", "[Keepers] Threshold"]
    for value, expected in (("0.4", "accept"), (0.95, "reject")):
        p = host.job(GOOD, gate="accept: cheap.good >= 0.6", on_reject="keep")
        axes["[Keepers] Threshold"].apply(p, value, [])
        p.script_args = (0, False)  # an axis switches Keepers on
        p.script_args = (0, False, {"gate": "accept: cheap.good >= 0.6", "on_reject": "keep"})
        assert settings_of(host.run(p).infotexts[0])["Keepers"] == expected
    p = host.job(GOOD)
    axes["[Keepers] Model"].apply(p, "dear", [])
    text = host.run(p).infotexts[0]
    assert settings_of(text)["Keepers gate"] == "accept: dear.good >= 0.5"
    p = host.job(GOOD, gate='accept: signals.label == "ok"')
    axes["[Keepers] Threshold"].apply(p, 0.5, [])
    assert "no number" in host.run(p).comments


@settings(max_examples=50)
@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 0.95))
def test_the_nearer_to_the_threshold_the_better(one: float, other: float, threshold: float) -> None:
    from keepers.extension.job.nearness import nearness

    gate = Gate.parse(f"accept: cheap.good >= {threshold!r}")

    def near(good: float) -> float:
        values = np.array([good, 1 - good], np.float32)
        return nearness(gate, {"cheap": Prediction("cheap", LABELS, values)}, "reject")

    assert (near(one) >= near(other)) == (one >= other) or abs(one - other) < 1e-6
