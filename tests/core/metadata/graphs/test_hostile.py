"""Any JSON is read or refused with a note, in bounded time and memory."""

from __future__ import annotations

import json
import random
import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keepers.core.metadata.comfy_read import read_comfy
from keepers.core.metadata.generation import Generation
from keepers.core.metadata.graphs.graph import NODE_LIMIT, BadPrompt
from keepers.core.metadata.graphs.operations import COST_LIMIT, compiled, steps
from keepers.core.metadata.graphs.prompt import parse_prompt
from keepers.core.metadata.graphs.texts import TOTAL_LIMIT
from keepers.tests.core.metadata.graphs.world import WORKFLOW, basic, loaded, node, read

LARGE = 20
"""Seconds that mean that time is not bounded: all of this takes a fraction of one."""


def both(data: object) -> list[Generation]:
    text = json.dumps(data)
    return [found for key in ("prompt", "workflow") if (found := read_comfy({key: text}))]


def check(found: Generation) -> None:
    assert isinstance(found.positive, str)
    assert isinstance(found.negative, str)
    assert found.seed is None or (type(found.seed) is int and found.seed >= 0)
    assert found.positive or found.notes, "empty without a note"
    assert len(found.notes) < 30
    assert all(len(note) < 400 for note in found.notes)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "NaN", "{}", '{"1": 2}', "[" * 100_000, '{"a":' * 100_000, "9" * 10_000,
     '{"1": {"class_type": 1}}', '"' + "x" * (17 << 20), "\ud800"],
    ids=lambda text: ascii(text[:12]),
)  # fmt: skip
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(BadPrompt):
        parse_prompt(text)


def test_deep_values_are_carried_not_followed() -> None:
    deep: Any = "x"
    for _ in range(900):
        deep = [deep]
    graph = loaded(t=node("StringConcatenate", string_a=deep, string_b="fox", delimiter=deep))
    check(read(graph))
    for text in ("[" * 10_000 + "]" * 10_000, '{"a":' * 10_000 + "1" + "}" * 10_000):
        found = read_comfy({"prompt": '{"1": ' + text + "}", "workflow": '{"nodes": ' + text + "}"})
        assert found is not None
        assert found.notes


def test_nan_and_wrong_types() -> None:
    text = json.dumps(basic()).replace("156680208700286", "NaN").replace('"steps": 20', '"steps": Infinity')
    found = read_comfy({"prompt": text})
    assert found is not None
    assert (found.seed, found.steps, found.positive) == (None, None, "a red fox")
    graph = basic()
    graph["3"]["inputs"] |= {
        "seed": True,
        "cfg": "8",
        "sampler_name": 5,
        "positive": {"x": 1},
        "negative": [None, None],
    }
    found = read(graph)
    assert (found.seed, found.cfg, found.sampler, found.positive, found.negative) == (None, None, "", "", "")


def test_too_many_nodes_are_told() -> None:
    many = {str(i): node("KSampler", seed=i, positive=[str(i + 1), 0]) for i in range(20_000)}
    found = read(many)
    assert found.positive == ""
    assert str(NODE_LIMIT) in found.notes[0]
    nodes = [{"id": i, "type": "KSampler", "inputs": []} for i in range(20_000)]
    found = read_comfy({"workflow": json.dumps({"nodes": nodes, "links": []})})
    assert found is not None
    assert str(NODE_LIMIT) in found.notes[0]


def test_largest_graphs_take_bounded_time() -> None:
    chain = NODE_LIMIT - 10
    samplers = {str(i): node("KSampler", seed=i, steps=1, positive=[str(i + 1), 0], latent_image=[str(i + 1), 0])
                for i in range(chain)}  # fmt: skip
    joins = loaded(t=["0", 0]) | {"20": node("LoadImage", image="x")}
    joins["6"]["inputs"]["text"] = ["s0", 0]
    joins |= {f"s{i}": node("StringConcatenate", string_a=[f"s{i + 1}", 0], string_b="x", delimiter="")
              for i in range(chain - 20)}  # fmt: skip
    star = basic() | {f"c{i}": node("ConditioningCombine", **{f"conditioning_{j}": [f"c{(i * 7 + j) % 900}", 0]
                                                              for j in range(30)}) for i in range(900)}  # fmt: skip
    star["3"]["inputs"]["positive"] = ["c0", 0]
    for graph in (samplers, joins, star):
        start = time.process_time()
        check(read(graph))
        assert time.process_time() - start < LARGE


def test_texts_are_counted_as_a_whole() -> None:
    graph = basic()
    graph["6"]["inputs"]["text"] = ["s0", 0]
    for i in range(60):
        graph[f"s{i}"] = node("StringConcatenate", string_a=[f"s{i + 1}", 0], string_b=[f"s{i + 1}", 1], delimiter="")
    graph["s60"] = node("PrimitiveString", value="x")
    start = time.process_time()
    found = read(graph)
    assert len(found.positive) <= TOTAL_LIMIT
    assert "MiB" in " ".join(found.notes)
    long = {f"j{i}": node("StringConcatenate", string_a=["p", 0], string_b=str(i), delimiter="") for i in range(2000)}
    graph = basic() | long | {"p": node("PrimitiveString", value="x" * (256 << 10))}
    graph["6"]["inputs"] = {f"text{'_gl'[i % 3]}{i}": [f"j{i}", 0] for i in range(2000)}
    graph["3"]["inputs"]["positive"] = ["m", 0]
    graph["m"] = node("ConditioningCombine", **{f"conditioning_{i}": [f"e{i}", 0] for i in range(2000)})
    graph |= {f"e{i}": node("CLIPTextEncode", text=[f"j{i}", 0]) for i in range(2000)}
    assert len(read(graph).positive) <= 2 * TOTAL_LIMIT
    assert time.process_time() - start < LARGE


def test_replacing_and_filling_do_not_grow_beyond_bounds() -> None:
    start = time.process_time()
    long = "x" * 100_000
    for made in (node("StringReplace", string=long, find="x", replace=long),
                 node("RegexReplace", string=long, regex_pattern="x", replace=long),
                 node("StringFormat", f_string="{a}" * 1000, a=long),
                 node("easy stringJoinLines", string="\n" * 100_000, delimiter=long),
                 node("Text Concatenate", delimiter=long, **{f"text_{i}": "x" for i in range(2000)})):  # fmt: skip
        found = read(loaded(t=made))
        assert len(found.positive) <= TOTAL_LIMIT + 1
        check(found)
    assert time.process_time() - start < LARGE


PATTERNS = (r"(x+)+y", r"(x|x)*y", r"(x*)*$", r".*.*.*.*=.*", r"x*x*x*x*x*y", r"(?=x)x", r"(x)\1", "x" * 600, "(", "[",
            "x{9999}", r"(?P<n>x)", r"x++")  # fmt: skip


@pytest.mark.parametrize("pattern", PATTERNS)
def test_patterns_that_may_run_away_are_not_run(pattern: str) -> None:
    text = "x" * 5000
    cost = steps(pattern, text, 0)
    assert cost is None or cost <= COST_LIMIT
    start = time.process_time()
    found = compiled(pattern, 0) if cost is not None else None
    assert found is None or found.sub("", text) is not None
    check(read(loaded(t=node("RegexReplace", string=text, regex_pattern=pattern, replace=""))))
    assert time.process_time() - start < LARGE


@given(st.text("ab.*+?|()[]{}^$\\12,", max_size=12), st.text("ab1,", max_size=40))
def test_any_pattern_that_is_run_ends(pattern: str, text: str) -> None:
    if steps(pattern, text, 0) is not None and (found := compiled(pattern, 0)):
        assert isinstance(found.sub("", text), str)


def test_circles_end() -> None:
    graph = basic()
    graph["6"] = node("Loop", conditioning=["6b", 0], text=["t", 0])
    graph["6b"] = node("Loop", conditioning=["6", 0])
    graph["t"], graph["t2"] = node("Text", text=["t2", 0]), node("Text", text=["t", 0])
    graph["5"] = node("Loop", samples=["3", 0], width=["5", 0], height=["5", 0])
    graph["10"] = node("LoraLoader", model=["10", 0], lora_name=["10", 0])
    graph["s"] = node("ComfySwitchNode", switch=["s", 0], on_true=["s", 0], on_false=["s", 0])
    for text in (["t", 0], ["s", 0]):
        graph["6"]["inputs"]["text"] = text
        found = read(graph)
        assert (found.positive, found.seed) == ("", 156680208700286)
        check(found)


LEAVES = (st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
          | st.sampled_from(["1", "2", "text", "positive", "KSampler", "STRING", "CONDITIONING"]))  # fmt: skip
WORDS = "id type inputs outputs widgets_values name link links nodes mode extra groupNodes definitions subgraphs"
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS.split()), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES | st.fixed_dictionaries({"nodes": VALUES, "links": VALUES, "extra": VALUES, "definitions": VALUES}))
def test_any_json_is_read_or_refused(data: object) -> None:
    for found in both(data):
        check(found)


NAMES = (
    "positive negative seed steps text images latent_image model conditioning guider width string_a select input1 pipe"
)
KINDS = ["KSampler", "SaveImage", "CLIPTextEncode", "X", "StringConcatenate", "ImpactSwitch", "Context (rgthree)",
         "SDXLPromptStyler", "Any Switch (rgthree)", "easy kSampler", "RegexReplace", "ShowText|pysssss"]  # fmt: skip
LINKED = st.tuples(st.sampled_from("123"), st.integers(-1, 3)).map(list)
INPUTS = st.dictionaries(st.sampled_from(NAMES.split()), LINKED | VALUES, max_size=6)
NODES = st.fixed_dictionaries({"class_type": st.sampled_from(KINDS), "inputs": INPUTS})


@given(st.dictionaries(st.sampled_from("123"), NODES, min_size=1))
def test_any_small_graph_is_read(graph: dict[str, object]) -> None:
    for found in both(graph):
        check(found)


@pytest.mark.parametrize("seed", range(40))
def test_mutated_graphs_are_read(seed: int) -> None:
    """Plain graphs in both forms, with values swapped, lost, doubled and replaced."""
    random_ = random.Random(seed)
    parts = re.findall(r'"[^"]*"|-?\d+|[\[\]{},:]|true|false|null', json.dumps([WORKFLOW, basic(), loaded()]))
    for _ in range(30):
        changed = list(parts)
        for _ in range(random_.randint(1, 12)):
            at, other = random_.randrange(len(changed)), random_.randrange(len(changed))
            if changed[at][0] not in "[]{},:" and changed[other][0] not in "[]{},:":
                changed[at] = changed[other]
        try:
            data = json.loads("".join(changed))
        except ValueError:
            continue
        for found in (found for graph in data for found in both(graph)):
            check(found)
