"""The panel built by real gradio, with the rest of the WebUI stubbed: hosts have 3.41.2 and 4.40.0.

GRADIO_PYTHONS names the interpreters of environments with gradio, separated as in PATH.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PYTHONS = [part for part in os.environ.get("GRADIO_PYTHONS", "").split(os.pathsep) if part]
pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(not PYTHONS, reason="needs environments with gradio: set GRADIO_PYTHONS"),
]
PROGRAM = """
import json, sys
from pathlib import Path
import gradio as gr
from modules import scripts
scripts.load_scripts(Path(sys.argv[1]), stays_on_path=False)
if sys.argv[2] == "old":
    sys.modules["modules.ui_components"] = None  # before A1111 1.6 there is no accordion with a switch
found = {"gradio": gr.__version__}
for is_img2img in (False, True):
    with gr.Blocks() as demo:
        script = scripts.scripts_data[0].script_class()
        script.is_img2img = is_img2img
        controls = script.ui(is_img2img)
        scripts.postprocessing_scripts_data[0].script_class().ui()
    found["values"] = [control.value for control in controls]
    config = demo.get_config_file()
    found["ids"] = [c["props"].get("elem_id") for c in config["components"]]
    found["events"] = len(config["dependencies"])
    check = [f for f in demo.fns.values()] if isinstance(demo.fns, dict) else demo.fns
    found["handlers"] = [getattr(f.fn, "__name__", "") for f in check]
print(json.dumps(found))
"""


@pytest.mark.parametrize("age", ["new", "old"])
@pytest.mark.parametrize("python", PYTHONS or ["none"])
def test_the_panel_is_built(python: str, age: str, tmp_path: Path) -> None:
    # A copy: gradio 4 writes a .pyi beside every module that has a component of its own.
    shutil.copytree(ROOT / "tests" / "stubs" / "modules", tmp_path / "modules")
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "GRADIO_ANALYTICS_ENABLED": "False"}
    done = subprocess.run(
        [python, "-c", PROGRAM, str(ROOT), age], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["gradio"].split(".")[0] in ("3", "4")
    assert {f"script_img2img_keepers_{name}" for name in ("enabled", "gate", "preset", "recipe")} <= set(found["ids"])
    assert len(found["values"]) == 18 and found["values"][:2] == [False, "signals"]
    assert found["events"] == 3 and set(found["handlers"]) == {"_preset_chosen", "_gate_typed", "checked"}
    warned = [line for line in done.stderr.splitlines() if "GradioDeprecationWarning" in line]
    assert not warned
