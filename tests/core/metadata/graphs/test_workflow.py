"""The editor's form of a graph becomes the same graph as the prompt of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keepers.core.metadata.comfy_read import read_comfy
from keepers.core.metadata.generation import Generation
from keepers.core.metadata.graphs.graph import BadPrompt
from keepers.core.metadata.graphs.workflow import parse_workflow
from keepers.tests.core.metadata.graphs.world import WORKFLOW

Entry = dict[str, Any]
SUBGRAPH = "11111111-2222-3333-4444-555555555555"


def read(nodes: list[Entry], links: list[list[Any]], **more: Any) -> Generation:
    found = read_comfy({"workflow": json.dumps({"nodes": nodes, "links": links, **more})})
    assert found is not None
    return found


def entry(i: int, kind: str, values: Any = (), mode: int = 0, outputs: str = "", **links: int | None) -> Entry:
    """A node: its links by input, and its outputs as types with a space between."""
    types = {"positive": "CONDITIONING", "negative": "CONDITIONING", "conditioning": "CONDITIONING", "text": "STRING",
             "latent_image": "LATENT", "samples": "LATENT", "images": "IMAGE", "model": "MODEL"}  # fmt: skip
    sockets = [{"name": name, "type": types.get(name, "*"), "link": link} for name, link in links.items()]
    given = [{"name": kind, "type": kind} for kind in outputs.split()]
    return {"id": i, "type": kind, "mode": mode, "inputs": sockets, "outputs": given, "widgets_values": values}


def plain(*more: Entry, positive: int | None = 1, saved: int = 5) -> list[Entry]:
    """A plain workflow whose sampler has its prompt from link 1, and which saves link 5."""
    return [
        entry(3, "KSampler", [42, "randomize", 25, 7.5, "euler", "karras", 1], outputs="LATENT", positive=positive,
              negative=2, latent_image=3, model=6),
        entry(6, "CLIPTextEncode", ["a wolf"], outputs="CONDITIONING"),
        entry(7, "CLIPTextEncode", ["bad"], outputs="CONDITIONING"),
        entry(5, "EmptyLatentImage", [512, 640, 1], outputs="LATENT"),
        entry(4, "CheckpointLoaderSimple", ["wolf.safetensors"], outputs="MODEL CLIP VAE"),
        entry(8, "VAEDecode", outputs="IMAGE", samples=4),
        entry(9, "SaveImage", ["ComfyUI"], images=saved), *more,
    ]  # fmt: skip


LINKS: list[list[Any]] = [[1, 6, 0, 3, 0, ""], [2, 7, 0, 3, 1, ""], [3, 5, 0, 3, 2, ""], [4, 3, 0, 8, 0, ""],
                          [5, 8, 0, 9, 0, ""], [6, 4, 0, 3, 3, ""]]  # fmt: skip


def check(found: Generation, positive: str = "a wolf") -> None:
    assert (found.positive, found.negative, found.seed, found.steps) == (positive, "bad", 42, 25)
    assert (found.sampler, found.scheduler, found.cfg) == ("euler", "karras", 7.5)
    assert (found.model, found.width, found.height, found.notes) == ("wolf.safetensors", 512, 640, ())


def test_plain() -> None:
    check(read(plain(), LINKS))
    found = read_comfy({"workflow": json.dumps(WORKFLOW)})
    assert found is not None
    assert (found.source, found.positive, found.negative, found.seed) == ("comfyui", "a wolf", "bad", 42)


def test_values_by_name_and_by_the_names_of_the_sockets() -> None:
    nodes = plain()
    nodes[0]["widgets_values"] = {"seed": 42, "steps": 25, "cfg": 7.5, "sampler_name": "euler", "scheduler": "karras"}
    nodes[1] = {**entry(6, "NewEncoder", ["setting", "a wolf", 42, "fixed", 3]), "outputs": [{"type": "CONDITIONING"}],
                "inputs": [{"name": n, "type": "*", "widget": {"name": n}, "link": None}
                           for n in ("style", "prompt", "seed", "count")]}  # fmt: skip
    check(read(nodes, LINKS))


def test_reroutes_primitives_get_and_set() -> None:
    more = [entry(10, "Reroute", outputs="CONDITIONING", x=10), entry(11, "SetNode", ["the wolf"], conditioning=11),
            entry(12, "GetNode", ["the wolf"], outputs="CONDITIONING"),
            entry(13, "PrimitiveNode", ["a wolf", "fixed"])]  # fmt: skip
    nodes = plain(*more)
    nodes[1] = {**nodes[1], "widgets_values": ["old text"], "inputs": [
        {"name": "text", "type": "STRING", "widget": {"name": "text"}, "link": 13}]}  # fmt: skip
    links = [*LINKS, [10, 12, 0, 10, 0, ""], [11, 6, 0, 11, 0, ""], [12, 10, 0, 3, 0, ""], [13, 13, 0, 6, 0, ""]]
    nodes[0]["inputs"][0]["link"] = 12
    check(read(nodes, links))


@pytest.mark.parametrize("mode", [2, 4])
def test_muted_and_bypassed_nodes(mode: int) -> None:
    bypassed = entry(10, "ConditioningSomething", mode=mode, outputs="CONDITIONING", images=None, conditioning=10)
    other = [entry(20, "KSampler", [5, "fixed", 1, 1.0, "ddim", "simple", 1], mode=mode, outputs="LATENT", positive=2),
             entry(21, "SaveImage", ["x"], mode=mode, images=20)]  # fmt: skip
    found = read([*other, *plain(bypassed, positive=11)], [*LINKS, [10, 6, 0, 10, 1, ""], [11, 10, 0, 3, 0, ""]])
    if mode == 4:
        check(found)
    else:
        assert (found.positive, found.negative, found.seed) == ("", "bad", 42), "a muted node hands nothing on"
        assert found.notes


def subgraph(
    inner: list[Entry], links: list[list[Any]], inputs: list[Entry], outputs: list[Entry], i: str = SUBGRAPH
) -> Entry:
    keys = ("id", "origin_id", "origin_slot", "target_id", "target_slot")
    wires = [dict(zip(keys, link, strict=False)) for link in links]
    return {"id": i, "name": "Sub", "nodes": inner, "links": wires, "inputs": inputs, "outputs": outputs}


def text_socket(link: int | None) -> Entry:
    return {"name": "text", "type": "STRING", "widget": {"name": "text"}, "link": link}


def test_nested_subgraphs() -> None:
    """The sampler is one level down, the encoder two; the text comes from the outermost node's own widget."""
    deeper = "22222222-2222-3333-4444-555555555555"
    encoder = {**entry(1, "CLIPTextEncode", ["not this"], outputs="CONDITIONING"), "inputs": [text_socket(1)]}
    low = subgraph([encoder], [[1, -10, 0, 1, 0], [2, 1, 0, -20, 0]], [{"name": "text", "linkIds": [1]}],
                   [{"name": "C", "linkIds": [2]}], deeper)  # fmt: skip
    inside = [node for node in plain() if node["id"] not in (6, 9)]
    host = {**entry(30, deeper, outputs="CONDITIONING"), "inputs": [{**text_socket(12), "name": "text"}]}
    links = [
        *(link for link in LINKS if link[0] not in (1, 5)),
        [11, 30, 0, 3, 0],
        [12, -10, 0, 30, 0],
        [13, 8, 0, -20, 0],
    ]
    inside[0]["inputs"][0]["link"] = 11
    high = subgraph([*inside, host], links, [{"name": "text", "type": "STRING", "linkIds": [12]}],
                    [{"name": "IMAGE", "linkIds": [13]}])  # fmt: skip
    outer = {**entry(57, SUBGRAPH, ["a wolf"], outputs="IMAGE"), "inputs": [text_socket(None)]}
    nodes = [outer, entry(9, "SaveImage", ["x"], images=62)]
    definitions = {"subgraphs": [high, low]}
    check(read(nodes, [[62, 57, 0, 9, 0, "IMAGE"]], definitions=definitions))
    outer["widgets_values"] = []
    check(read(nodes, [[62, 57, 0, 9, 0, "IMAGE"]], definitions=definitions), "not this")
    assert "57:30:1" in parse_workflow(json.dumps({"nodes": nodes, "links": [], "definitions": definitions}))
    outer["mode"] = 2
    assert read(nodes, [[62, 57, 0, 9, 0, "IMAGE"]], definitions=definitions).positive == ""


def test_subgraph_inside_of_itself_ends() -> None:
    loop = subgraph([entry(1, SUBGRAPH, outputs="IMAGE", images=1)], [[1, 1, 0, 1, 0], [2, 1, 0, -20, 0]], [],
                    [{"name": "IMAGE", "linkIds": [2]}])  # fmt: skip
    nodes = [entry(57, SUBGRAPH, outputs="IMAGE"), entry(9, "SaveImage", ["x"], images=62)]
    assert read(nodes, [[62, 57, 0, 9, 0, ""]], definitions={"subgraphs": [loop]}).notes


def test_group_node() -> None:
    inner = [entry(0, "CLIPTextEncode", ["old"], outputs="CONDITIONING"),
             entry(1, "CLIPTextEncode", ["old"], outputs="CONDITIONING"),
             entry(2, "ConditioningZeroOut", None, outputs="CONDITIONING", conditioning=None)]  # fmt: skip
    group = {"nodes": inner, "links": [[1, 0, 2, 0, 1, ""]], "external": [[1, 0, "CONDITIONING"]]}
    host = entry(30, "workflow/Both prompts", ["a wolf", "bad"], outputs="CONDITIONING CONDITIONING CONDITIONING")
    nodes = [node for node in plain(host) if node["id"] not in (6, 7)]
    links = [[1, 30, 0, 3, 0, ""], [2, 30, 1, 3, 1, ""], *LINKS[2:]]
    check(read(nodes, links, extra={"groupNodes": {"Both prompts": group}}))


def test_anything_everywhere() -> None:
    nodes = plain(entry(30, "Prompts Everywhere", positive=30, negative=31), positive=None)
    nodes[0]["inputs"] = [socket for socket in nodes[0]["inputs"] if socket["name"] not in ("positive", "negative")]
    links = [*LINKS[2:], [30, 6, 0, 30, 0, ""], [31, 7, 0, 30, 1, ""]]
    check(read(nodes, links))
    nodes = plain(entry(30, "Anything Everywhere", x=30), positive=None)
    sent = {"downstream": 3, "downstream_slot": 0, "upstream": "6", "upstream_slot": 0, "type": "CONDITIONING"}
    check(read(nodes, [*LINKS[1:], [30, 6, 0, 30, 0, ""]], extra={"ue_links": [sent]}))


def test_service_without_names() -> None:
    prompt = "a wolf that howls at the moon"
    values = ["picture-model-2", prompt, "1:1", 77, "randomize", "You are an artist who draws what is asked."]
    node = {**entry(1, "NewPictureNode", values, outputs="IMAGE"), "inputs": []}
    found = read([node, entry(2, "SaveImage", ["x"], images=1)], [[1, 1, 0, 2, 0, ""]])
    assert (found.positive, found.seed, found.model) == (prompt, 77, "picture-model-2")
    node["widgets_values"] = ["", "ugly and blurred and badly drawn", 77, "randomize"]
    assert read([node, entry(2, "SaveImage", ["x"], images=1)], [[1, 1, 0, 2, 0, ""]]).positive == ""
    node["widgets_values"] = [values[0], "", *values[2:]]
    assert read([node, entry(2, "SaveImage", ["x"], images=1)], [[1, 1, 0, 2, 0, ""]]).positive == ""


def test_shown_text_is_the_record_of_what_was_written() -> None:
    nodes = plain(entry(10, "SomeVLM", ["describe"], outputs="STRING", image=None),
                  entry(11, "ShowText|pysssss", [["a wolf"]], outputs="STRING", text=10))  # fmt: skip
    nodes[1] = {**nodes[1], "inputs": [text_socket(11)]}
    links = [*LINKS, [10, 10, 0, 11, 0, ""], [11, 11, 0, 6, 0, ""]]
    assert read(nodes, links).positive == "a wolf"


@pytest.mark.parametrize(
    "broken", [{}, {"nodes": 1, "links": []}, {"nodes": [1]}, {"nodes": [], "links": [[]]}, [], None]
)
def test_nonsense_is_refused(broken: object) -> None:
    with pytest.raises(BadPrompt):
        parse_workflow(json.dumps(broken))


def test_our_example_workflows() -> None:
    for path in sorted((Path(__file__).parents[4] / "example_workflows").glob("*.json")):
        found = read_comfy({"workflow": path.read_text(encoding="utf-8")})
        assert found is not None
        assert found.positive or found.notes, path.name


def test_values_of_older_versions_find_their_names_by_type() -> None:
    """The Efficient Loader once had no LoRA and no weight settings; its sampler had a state before the seed."""
    loader = entry(1, "Efficient Loader", ["wolf.safetensors", "x.vae.pt", -2, "a wolf, sitting", "bad", 512, 640, 1],
                   outputs="MODEL CONDITIONING CONDITIONING LATENT VAE CLIP")  # fmt: skip
    for output, name in zip(loader["outputs"], ("MODEL", "CONDITIONING+", "CONDITIONING-"), strict=False):
        output["name"] = name
    values = ["Sample", 0, 42, True, 25, 7.5, "euler", "karras", 1, "Enabled"]
    sampler = entry(3, "KSampler (Efficient)", values, outputs="MODEL CONDITIONING CONDITIONING LATENT VAE IMAGE",
                    model=1, positive=2, negative=3, latent_image=4)  # fmt: skip
    links = [[1, 1, 0, 3, 0, ""], [2, 1, 1, 3, 1, ""], [3, 1, 2, 3, 2, ""], [4, 1, 3, 3, 3, ""], [5, 3, 5, 9, 0, ""]]
    check(read([loader, sampler, entry(9, "SaveImage", ["x"], images=5)], links), "a wolf, sitting")


def test_prompts_everywhere_with_one_prompt_keeps_its_side() -> None:
    nodes = plain(entry(30, "Prompts Everywhere", positive=None, negative=31))
    nodes[0]["inputs"] = [socket for socket in nodes[0]["inputs"] if socket["name"] != "negative"]
    nodes[-1]["inputs"] = [
        {"name": "+ve", "type": "*", "link": None},
        {"name": "CONDITIONING", "type": "*", "link": 31},
    ]
    check(read(nodes, [LINKS[0], *LINKS[2:], [31, 7, 0, 30, 1, ""]]))
    nodes[0]["inputs"] = [socket for socket in nodes[0]["inputs"] if socket["name"] != "positive"]
    nodes[-1]["inputs"] = [{"name": "CONDITIONING", "type": "*", "link": link} for link in (30, 31)]
    check(read(nodes, [*LINKS[2:], [30, 6, 0, 30, 0, ""], [31, 7, 0, 30, 1, ""]]))


def with_prompt_from(*more: Entry) -> Generation:
    """A plain workflow whose prompt is the conditioning of node 20, link 21."""
    return read(plain(*more, positive=21), [*LINKS, [21, 20, 0, 3, 0, ""]])


def test_an_encoder_nobody_knows_by_its_only_text() -> None:
    check(with_prompt_from(entry(20, "Strange Encode", ["a wolf"], outputs="CONDITIONING", chatglm=None)))
    for node in (
        entry(20, "Strange Encode", ["a wolf.cond"], outputs="CONDITIONING", chatglm=None),
        entry(20, "Strange Encode", ["a wolf"], outputs="CONDITIONING", images=None),
    ):
        found = with_prompt_from(node)
        assert found.positive == ""
        assert found.notes == ("the prompt goes through Strange Encode, which gives a conditioning without a text",)


def test_a_text_box_of_the_table_without_names() -> None:
    box = entry(30, "Primitive string [Crystools]", ["a wolf"], outputs="STRING")
    encode = entry(20, "CLIPTextEncode", [""], outputs="CONDITIONING", text=31)
    found = read(plain(box, encode, positive=21), [*LINKS, [21, 20, 0, 3, 0, ""], [31, 30, 0, 20, 0, ""]])
    check(found)
