"""Texts that are put together are worked out; texts that were made at run time end in a note, and nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from keepers.core.metadata.record import Record, to_json
from keepers.tests.core.metadata.graphs.world import basic, loaded, node, read

WORKED_OUT = {
    "replace": (node("StringReplace", string="a {c} fox", find="{c}", replace="red"), "a red fox"),
    "join": (node("StringConcatenate", string_a="a red", string_b=["u", 0], delimiter="-"), "a red-fox"),
    "join of empty": (node("Text Concatenate", delimiter=", ", text_a="a red fox", text_b="", text_c=["u", 0]),
                      "a red fox, fox"),
    "join in order": (node("JoinStringMulti", string_2="b", string_10="c", string_1="a", delimiter="+"), "a+b+c"),
    "regex": (node("RegexReplace", string="a  red,, fox", regex_pattern=r"\s+|,+", replace=" "), "a red  fox"),
    "regex groups": (node("RegexExtract", string="<p>a red fox</p>", regex_pattern="<p>(.*)</p>", mode="First Group",
                          group_index=1), "a red fox"),
    "case": (node("CaseConverter", string="A RED Fox", mode="lowercase"), "a red fox"),
    "trim": (node("StringTrim", string="  a red fox ", mode="Both"), "a red fox"),
    "slice": (node("StringSubstring", string="see a red fox", start=4, end=13), "a red fox"),
    "three pairs": (node("CR Text Replace", text="a b c", find1="b", replace1="red", find2="c", replace2="fox"),
                    "a red fox"),
    "tags": (node("StringFunction|pysssss", action="append", tidy_tags="yes", text_a="a red  fox", text_b="snow"),
             "a red fox, snow"),
    "format": (node("StringFormat", f_string="a {a} {b}", a="red", b=["u", 0]), "a red fox"),
    "numbered": (node("PromptUtilitiesFormatString", prompt="a [1] [2]", arg1="red", arg2=["u", 0]), "a red fox"),
    "one line": (node("easy promptLine", prompt="a dog\na red fox\na cat", start_index=1, max_rows=1), "a red fox"),
    "recorded over a text of run time": (
        node("ImpactWildcardProcessor", wildcard_text=["gone", 0], populated_text="a red fox", seed=1), "a red fox"),
    "of another pack": (node("Wildcard Processor", prompt="a red fox", seed=1), "a red fox"),
    "recorded": (node("ImpactWildcardProcessor", wildcard_text="a {red|blue} fox", populated_text="a red fox", seed=1),
                 "a red fox"),
    "wildcards without any": (node("DPRandomGenerator", text="a red fox", seed=1), "a red fox"),
    "other join": (node("My Text Combiner", text1="a red", text2=["u", 0], separator=" "), "a red fox"),
    "other box": (node("A Box For Text", text="a red fox"), "a red fox"),
}  # fmt: skip


@pytest.mark.parametrize(("made", "expected"), WORKED_OUT.values(), ids=WORKED_OUT)
def test_texts_that_are_worked_out(made: dict[str, Any], expected: str) -> None:
    found = read(loaded(t=made, u=node("PrimitiveStringMultiline", value="fox")))
    assert (found.positive, found.negative, found.notes) == (expected, "blurry", ())


WRITTEN = {
    "WD14Tagger": node(
        "WD14Tagger|pysssss", image=["20", 0], model="wd-moat", threshold=0.35, exclude_tags="hat, secret"
    ),
    "RunFlorence2": node(
        "RunFlorence2", image=["20", 0], florence2_model=["9", 0], text_input="secret", task="caption"
    ),
    "JC_adv": node("JC_adv", image=["20", 0], model="joy", custom_prompt="secret"),
    "OllamaGenerate": node("OllamaGenerate", prompt="secret", system="You are", url="http://x", model="llama"),
    "SomeVLM": node("SomeVLM", image=["20", 0], preset_prompt="secret", seed=1),
    "EnhanceBy": node("EnhanceBy", text="secret", temperature=0.7),
    "DPRandomGenerator": node("DPRandomGenerator", text="a {secret|hidden} fox", seed=1),
    "PromptUtilitiesLoadPreset": node("PromptUtilitiesLoadPreset", preset="animals : secret"),
    "A Preset Box": node("A Preset Box", text="secret"),
    "KeepersTag": node("KeepersTag", images=["20", 0], model="jtp", first="secret", exclude="comic"),
    "KeepersCaption": node("KeepersCaption", images=["20", 0], template="secret"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_texts_that_were_written_at_run_time(kind: str) -> None:
    found = read(loaded(t=WRITTEN[kind]))
    assert (found.positive, found.negative, found.seed) == ("", "blurry", 156680208700286)
    assert kind in found.notes[0]
    assert "the file does not hold" in found.notes[0]
    joined = node("StringConcatenate", string_a="in snow", string_b=["w", 0], delimiter=", ")
    found = read(loaded(t=joined, w=WRITTEN[kind]))
    assert found.positive == "in snow"
    assert kind in found.notes[0]
    replaced = node("StringReplace", string=["w", 0], find="x", replace="secret")
    assert read(loaded(t=replaced, w=WRITTEN[kind])).positive == ""


def test_what_a_node_showed_is_recorded_in_the_workflow() -> None:
    graph = loaded(t=node("ShowText|pysssss", text=["w", 0]), w=WRITTEN["SomeVLM"])
    shown = {"id": "t", "type": "ShowText|pysssss", "widgets_values": [["a red fox, sitting"]],
             "outputs": [{"name": "STRING", "type": "STRING"}]}  # fmt: skip
    workflow = json.dumps({"nodes": [shown], "links": []})
    assert read(graph, workflow=workflow).positive == "a red fox, sitting"
    assert read(graph).positive == ""


def test_our_own_record_has_the_caption() -> None:
    graph = loaded(t=node("KeepersTag", images=["20", 0], model="jtp"))
    record = to_json(Record(caption="fox, snow"))
    assert read(graph, keepers=record).positive == "fox, snow"
    graph["50"] = node("KeepersSave", images=["8", 0], captions=["t", 0])
    assert read(graph, keepers=record).positive == "fox, snow"
    graph["50"]["inputs"]["captions"] = ["51", 0]
    graph["51"] = node("KeepersCaption", images=["8", 0])
    assert read(graph, keepers=record).positive == "", "the caption in the record is another node's"


SWITCHES = {
    "yes": (node("ComfySwitchNode", switch=["b", 0], on_false=["v", 0], on_true=["u", 0]), True),
    "no": (node("ComfySwitchNode", switch=False, on_false=["u", 0], on_true=["v", 0]), True),
    "letters": (node("Text Input Switch", text_a=["u", 0], text_b=["v", 0], boolean=["b", 0]), True),
    "number": (node("ImpactSwitch", select=2, sel_mode=False, input1=["v", 0], input2=["u", 0]), True),
    "number in capitals": (node("CR Text Input Switch", Input=1, text1=["u", 0], text2=["v", 0]), True),
    "from nought": (node("easy textIndexSwitch", index=0, text0=["u", 0], text1=["v", 0]), True),
    "first": (node("Any Switch (rgthree)", any_02=["u", 0], any_03=["v", 0]), True),
    "run time": (node("ComfySwitchNode", switch=["w", 0], on_false=["u", 0], on_true=["v", 0]), False),
}


@pytest.mark.parametrize(("switch", "known"), SWITCHES.values(), ids=SWITCHES)
def test_switches_choose(switch: dict[str, Any], known: bool) -> None:
    more = {"u": node("PrimitiveString", value="a red fox"), "v": node("PrimitiveString", value="a plane"),
            "b": node("PrimitiveBoolean", value=True), "w": node("AskTheWeather", town="x", units="y")}  # fmt: skip
    found = read(loaded(t=switch, **more))
    assert found.positive == ("a red fox" if known else "")
    assert bool(found.notes) is not known


def test_switch_of_conditionings() -> None:
    graph = basic()
    graph["3"]["inputs"]["positive"] = ["20", 0]
    graph["20"] = node("CR Conditioning Input Switch", Input=2, conditioning1=["7", 0], conditioning2=["6", 0])
    assert read(graph).positive == "a red fox"


def test_wildcard_encoder_tells_what_it_drew() -> None:
    graph = basic()
    graph["6"] = node("ImpactWildcardEncode", wildcard_text="a {red|blue} fox", populated_text="a blue fox",
                      clip=["11", 0], model=["10", 0], seed=3)  # fmt: skip
    graph["3"]["inputs"]["positive"] = ["6", 2]
    assert read(graph).positive == "a blue fox"


def test_several_outputs() -> None:
    graph = loaded(t=node("Text String", text="a red fox", text_b="blurry", text_c="c", text_d="d"))
    graph["7"]["inputs"]["text"] = ["t", 1]
    assert (read(graph).positive, read(graph).negative) == ("a red fox", "blurry")


def test_several_lines_are_not_one_prompt() -> None:
    found = read(loaded(t=node("easy promptLine", prompt="a dog\na cat", start_index=0, max_rows=1000)))
    assert (found.positive, found.notes) == ("", ("what easy promptLine made of the prompt was not worked out",))
