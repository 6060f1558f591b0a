"""A workflow as the browser saves it, turned into the form that the API takes."""

from __future__ import annotations

from typing import Any

from keepers.tests.hosts.comfy_server import Graph

_CONTROLS = ("fixed", "increment", "decrement", "randomize")


def to_api(workflow: dict[str, Any], known: dict[str, Any]) -> Graph:
    """What the browser would send for a workflow without subgraphs. `known` is the server's /object_info."""
    links = {link[0]: [str(link[1]), link[2]] for link in workflow["links"]}
    nodes = [node for node in workflow["nodes"] if node["type"] in known and node.get("mode", 0) == 0]
    missing = {node["type"] for node in workflow["nodes"]} - set(known) - {"Note", "MarkdownNote"}
    assert not missing, f"the server does not know {missing}"
    return {
        str(node["id"]): {"class_type": node["type"], "inputs": _inputs(node, links, known[node["type"]])}
        for node in nodes
    }


def _inputs(node: dict[str, Any], links: dict[int, list[Any]], info: dict[str, Any]) -> dict[str, Any]:
    wired = {given["name"]: links[given["link"]] for given in node.get("inputs", []) if given.get("link") is not None}
    values = list(node.get("widgets_values", []))
    found: dict[str, Any] = {}
    for name, (kind, *options) in _declared(info).items():
        extra: dict[str, Any] = options[0] if options else {}
        if (kind in ("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO") or isinstance(kind, list)) and not extra.get(
            "forceInput"
        ):
            found[name] = values.pop(0)
            seed = extra.get("control_after_generate") or name in ("seed", "noise_seed")
            if values and seed and values[0] in _CONTROLS:
                values.pop(0)
            if values and extra.get("image_upload"):
                values.pop(0)
    assert not values, f"{node['type']} has {len(values)} values too many"
    return found | wired


def _declared(info: dict[str, Any]) -> dict[str, Any]:
    return {**info["input"]["required"], **info["input"].get("optional", {})}
