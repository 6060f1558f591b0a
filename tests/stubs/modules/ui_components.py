"""A stub of modules.ui_components: the accordion with a switch, which A1111 has since 1.6."""

from __future__ import annotations

from typing import Any

import gradio as gr


class InputAccordion(gr.Checkbox):
    """A checkbox and a frame in one."""

    def __enter__(self) -> InputAccordion:
        return self

    def __exit__(self, *_: Any) -> None:
        return None
