"""What is shipped beside the nodes fits them: help pages, languages, example workflows, the registry's files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

try:
    import tomllib  # pyright: ignore[reportMissingImports]  Python 3.11 and later
except ImportError:
    from pip._vendor import tomli as tomllib

from keepers.nodes.entry import all_nodes
from keepers.tests.hosts.comfy_workflow import to_api
from keepers.tests.nodes.comfy_stub import comfy

__all__ = ["comfy"]
ROOT = Path(__file__).parents[2]
LANGUAGES = sorted(path.name for path in (ROOT / "locales").iterdir())
WORKFLOWS = sorted((ROOT / "example_workflows").glob("*.json"))
MACHINE_MADE = {("KeepersScore", "preset"), ("KeepersGate", "preset"), ("KeepersTag", "model")}
"""Tooltips that name what is in the registry, and so are in no language file."""


@pytest.fixture
def schemas(comfy: object) -> list[Any]:
    """Of all nodes."""
    return [node.GET_SCHEMA() for node in all_nodes()]


def test_every_node_has_a_help_page_with_its_inputs_and_a_small_picture(schemas: list[Any]) -> None:
    pages = {path.stem for path in (ROOT / "web" / "docs").glob("*.md")}
    assert pages == {schema.node_id for schema in schemas}
    for schema in schemas:
        text = (ROOT / "web" / "docs" / f"{schema.node_id}.md").read_text(encoding="utf-8")
        assert text.startswith(f"# {schema.display_name}\n")
        for each in schema.inputs:
            assert f"| {each.id.replace('_', ' ')}" in text, f"{schema.node_id} does not explain {each.id}"
        (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
        with Image.open(ROOT / "web" / "docs" / picture) as image:
            assert max(image.size) < 1500
        assert (ROOT / "web" / "docs" / picture).stat().st_size < 60_000


def test_every_input_and_output_has_a_tooltip(schemas: list[Any]) -> None:
    for schema in schemas:
        without = [each.id for each in [*schema.inputs, *schema.outputs] if not (each.tooltip or "").strip()]
        assert not without, f"{schema.node_id}: {without}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_name_every_input_and_output(schemas: list[Any], language: str) -> None:
    told = json.loads((ROOT / "locales" / language / "nodeDefs.json").read_text(encoding="utf-8"))
    assert set(told) == {schema.node_id for schema in schemas}
    for schema in schemas:
        found = told[schema.node_id]
        assert found["display_name"]
        assert set(found["inputs"]) == {each.id for each in schema.inputs}
        assert set(found["outputs"]) == {str(place) for place in range(len(schema.outputs))}
        for each in schema.inputs:
            assert found["inputs"][each.id]["name"]
            assert bool(found["inputs"][each.id].get("tooltip")) != ((schema.node_id, each.id) in MACHINE_MADE)
        if language == "en":
            assert found["description"] == schema.description
            told_tips = [found["inputs"][each.id].get("tooltip", each.tooltip) for each in schema.inputs]
            assert told_tips == [each.tooltip for each in schema.inputs]
            assert [each["tooltip"] for each in found["outputs"].values()] == [each.tooltip for each in schema.outputs]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_example_workflows_use_nodes_and_inputs_that_exist(schemas: list[Any], path: Path) -> None:
    workflow = json.loads(path.read_text(encoding="utf-8"))
    ours = {schema.node_id: schema for schema in schemas}
    known = {name: _info(schema) for name, schema in ours.items()}
    known |= {node["type"]: {"input": {"required": {}}} for node in workflow["nodes"] if node["type"] not in ours}
    workflow["nodes"] = [node for node in workflow["nodes"] if node["type"] in ours]
    graph = to_api(workflow, known)
    assert graph
    for node in graph.values():
        schema = ours[node["class_type"]]
        required = {each.id for each in schema.inputs if not each.optional}
        assert required <= set(node["inputs"]) <= {each.id for each in schema.inputs}
        for each in schema.inputs:
            if each.io_type == "COMBO":
                assert node["inputs"][each.id] in each.options
    with Image.open(path.with_suffix(".jpg")) as thumbnail:
        assert 300 <= thumbnail.width <= 1200


def _info(schema: Any) -> dict[str, Any]:
    """A node's inputs as /object_info tells them."""
    found: dict[str, dict[str, Any]] = {"required": {}, "optional": {}}
    for each in schema.inputs:
        told = {"forceInput": getattr(each, "force_input", None), "control_after_generate": each.id == "seed"}
        found["optional" if each.optional else "required"][each.id] = [each.io_type, told]
    return {"input": found}


def test_requirements_are_the_projects_dependencies() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    listed = (ROOT / "requirements.txt").read_text(encoding="utf-8").split()
    assert listed == project["project"]["dependencies"]
    assert not {"torch", "torchvision", "onnxruntime"} & set(listed), "the host's own stay as they are"


def test_the_registry_finds_its_fields() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found = project["tool"]["comfy"]
    assert "comfyui" not in project["project"]["name"].lower()
    assert found["PublisherId"]
    assert found["requires-comfyui"] == ">=0.3.64"
    assert "web" not in found, "WEB_DIRECTORY names the folder; named twice, it would be served twice"
    with Image.open(ROOT / "web" / Path(found["Icon"]).name) as icon:
        assert icon.width == icon.height <= 400
    with Image.open(ROOT / "web" / Path(found["Banner"]).name) as banner:
        assert banner.width * 9 == banner.height * 21


def test_nothing_in_web_is_run_by_the_browser() -> None:
    assert not list((ROOT / "web").rglob("*.js"))
