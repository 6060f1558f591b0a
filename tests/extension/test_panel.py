"""The panel, what it says of a gate, and the way of choices through requests and infotexts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keepers.core.errors import KeepersError
from keepers.models.presets import PRESETS
from keepers.tests.extension.webui_stub import Host, settings_of, stubbed


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with stubbed():
        from modules import paths

        paths.models_path = str(tmp_path / "models")
        yield Host(tmp_path)


def by_name(host: Host) -> dict[str, Any]:
    from keepers.extension.options.choices import NAMES

    return dict(zip(NAMES, host.script.ui(False), strict=True))


def test_the_panel_starts_with_the_defaults_of_a_request(host: Host) -> None:
    from keepers.extension.options.choices import Choices, choices_of

    fields = by_name(host)
    values = [field.value if field.value is not None else field.given.get("value") for field in fields.values()]
    shown = choices_of(values)
    assert shown.gate == PRESETS["signals"].gate
    assert {name: getattr(shown, name) for name in fields if name != "gate"} == {
        name: getattr(Choices(), name) for name in fields if name != "gate"
    }


def test_the_heatmap_menu_has_the_models_that_can_be_explained(host: Host) -> None:
    assert by_name(host)["heatmap"].given["choices"] == ["none", "faramir", "realism", "coherence"]


def test_every_field_has_an_id_of_its_own_in_each_tab(host: Host) -> None:
    ids = {field.elem_id for field in host.script.ui(False)}
    host.script.is_img2img = True
    ids |= {field.elem_id for field in host.script.ui(True)}
    assert len(ids) == 2 * len(host.script.ui(True))
    assert "script_txt2img_keepers_gate" in ids


def test_choosing_a_preset_fills_in_its_gate_and_typing_makes_it_custom(host: Host) -> None:
    fields = by_name(host)
    [(kind, chosen, _, _)] = fields["preset"].listeners
    update, told = chosen("coherent", "")
    assert kind == "input" and update["value"] == PRESETS["coherent"].gate
    assert "coherence" in told and "not on this machine" in told
    [(kind, typed, _, _)] = fields["gate"].listeners
    assert kind == "change"
    assert typed(PRESETS["flag"].gate)[0]["value"] == "flag"
    assert typed("accept: signals.noise < 0.1")[0]["value"] == "custom"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("accept: signals.noise <", "accept: signals.noise &lt;"),
        ("accept: singals.noise < 1", "signals"),
        ("accept: signals.nois < 1", "noise"),
        ("accept: <b>", "&lt;b&gt;"),
        ("", "accepts everything"),
        ("accept: signals.noise < 0.2", "✓ Asks <b>signals</b>"),
    ],
)
def test_a_gate_is_checked_while_it_is_typed(host: Host, text: str, said: str) -> None:
    from keepers.extension.panel import checked

    assert said in checked(text)
    assert "<b>" not in checked("accept: <b>")


def test_choices_go_through_an_infotext_and_back(host: Host) -> None:
    from modules import processing

    from keepers.extension.options.choices import Choices
    from keepers.extension.options.infotext_keys import VERDICT, written

    gates = ['accept: signals.noise < 0.1 # comment\nreject: signals.label == "black"', PRESETS["faramir"].gate]
    for gate in gates:
        choices = Choices(True, "custom", gate, "keep", "drop", False, True, 4, 10, True, "jtp", 0.35, "e621", "fox, x")
        text = ", ".join(f"{k}: {processing.quote(v)}" for k, v in {VERDICT: "accept", **written(choices)}.items())
        found = settings_of(text)
        fields = by_name(host)
        pasted = {field.elem_id.rpartition("keepers_")[2]: read(found) for field, read in host.script.infotext_fields}
        assert set(pasted) == set(fields) - {"heatmap"}
        for name in set(pasted) - {"gate", "preset"}:
            assert pasted[name] == getattr(choices, name), name
        again = Choices(gate=pasted["gate"], preset=pasted["preset"])
        assert again.parsed_gate == choices.parsed_gate


def test_a_preset_is_written_by_its_name(host: Host) -> None:
    from keepers.extension.options.choices import Choices
    from keepers.extension.options.infotext_keys import KEYS, pasted, written

    told = written(Choices(True, "faramir", PRESETS["faramir"].gate))
    assert told == {KEYS["preset"]: "faramir"}
    assert pasted("gate")({"Keepers": "accept", **told}) == PRESETS["faramir"].gate


def test_a_preset_in_a_request_goes_before_the_text_that_the_panel_starts_with(host: Host) -> None:
    from keepers.extension.options.choices import choices_of

    started = [field.value if field.value is not None else field.given.get("value") for field in host.script.ui(False)]
    assert choices_of([True, "coherent", *started[2:]]).gate_text == PRESETS["coherent"].gate
    assert choices_of([True, "coherent", "accept: signals.noise < 1"]).gate_text == "accept: signals.noise < 1"


def test_an_infotext_without_keepers_leaves_the_panel_as_it_is(host: Host) -> None:
    host.script.ui(False)
    assert {read({"Steps": "1"}) for _, read in host.script.infotext_fields} == {None}


@pytest.mark.parametrize(
    "values",
    [
        {"preset": "faramire"},
        {"on_reject": "burn"},
        {"attempts": 0},
        {"attempts": 10**9},
        {"attempts": True},
        {"gate": 7},
        {"folder": "/etc"},
        {"threshold": float("nan")},
        {"early": "yes"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused_with_the_name_of_what_is_wrong(
    host: Host, values: dict[str, Any]
) -> None:
    from keepers.extension.options.choices import choices_of

    with pytest.raises(KeepersError) as caught:
        choices_of([True, values])
    assert str(next(iter(values))) in str(caught.value)


def test_arguments_are_append_only(host: Host) -> None:
    """The order is a promise to everyone who sends requests: new options come last."""
    from keepers.extension.options.choices import NAMES

    assert (
        *("enabled", "preset", "gate", "on_review", "on_reject", "early", "everything", "attempts", "wanted"),
        *("keep_best", "tagger", "threshold", "style", "first", "exclude", "existing", "recipe", "heatmap"),
    ) == NAMES


def test_settings_are_offered_and_read(host: Host) -> None:
    from keepers.extension.options.settings import Settings, settings

    assert set(host.shared.opts.data_labels) == {f"keepers_{name}" for name in Settings.__dataclass_fields__}
    host.shared.opts.data["keepers_on_reject"] = "drop"
    host.shared.opts.data["keepers_preset"] = "nonsense"
    assert settings().on_reject == "drop"
    assert settings().choices().on_reject == "drop"
    assert settings().choices().preset == "signals"
