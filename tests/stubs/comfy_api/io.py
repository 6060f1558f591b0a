"""Inputs, outputs, schema and node of the third node interface; only what exists in 0.3.64 already.

A keyword that 0.3.64 does not know is a TypeError here as it is there. Ids must be unique among inputs and outputs
together, and a node must have both define_schema and execute.
"""

# ruff: noqa: A002, N802  the interface's own names
from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, ClassVar


class Hidden(str, Enum):
    """What a node may ask the engine for, by the names of the first interface."""

    unique_id = "UNIQUE_ID"
    prompt = "PROMPT"
    extra_pnginfo = "EXTRA_PNGINFO"
    dynprompt = "DYNPROMPT"


class HiddenHolder:
    """What the engine gave; None for what was not asked for."""

    def __init__(
        self, unique_id: str | None = None, prompt: Any = None, extra_pnginfo: Any = None, dynprompt: Any = None
    ) -> None:
        self.unique_id = unique_id
        self.prompt = prompt
        self.extra_pnginfo = extra_pnginfo
        self.dynprompt = dynprompt


class Input:
    """Any input. `optional` ones may be missing from a prompt."""

    io_type = ""

    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        extra_dict: dict[str, Any] | None = None,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.optional = optional
        self.tooltip = tooltip
        self.lazy = lazy
        self.extra_dict = extra_dict or {}
        self.options: list[Any] = []
        self.default: Any = None
        self.min: Any = None
        self.max: Any = None


class Output:
    """Any output; with `is_output_list` its value is a list of which each element goes on by itself."""

    io_type = ""

    def __init__(
        self,
        id: str | None = None,
        display_name: str | None = None,
        tooltip: str | None = None,
        is_output_list: bool = False,
    ) -> None:
        self.id = id
        self.display_name = display_name
        self.tooltip = tooltip
        self.is_output_list = is_output_list


class _Widget(Input):
    def __init__(
        self,
        id: str,
        display_name: str | None = None,
        optional: bool = False,
        tooltip: str | None = None,
        lazy: bool | None = None,
        default: Any = None,
        socketless: bool | None = None,
        force_input: bool | None = None,
    ) -> None:
        super().__init__(id, display_name, optional, tooltip, lazy)
        self.default = default
        self.force_input = force_input


class Custom:
    """A socket type of one's own."""

    def __init__(self, io_type: str) -> None:
        self.Input = type("Input", (Input,), {"io_type": io_type})
        self.Output = type("Output", (Output,), {"io_type": io_type})


class Image:
    """[B, H, W, C] floats in [0, 1]."""

    class Input(Input):
        """An IMAGE."""

        io_type = "IMAGE"

    class Output(Output):
        """An IMAGE."""

        io_type = "IMAGE"


class Mask:
    """[B, H, W] floats in [0, 1]."""

    class Input(Input):
        """A MASK."""

        io_type = "MASK"

    class Output(Output):
        """A MASK."""

        io_type = "MASK"


class Latent:
    """A dict with "samples" and sometimes "noise_mask" and "batch_index"."""

    class Input(Input):
        """A LATENT."""

        io_type = "LATENT"

    class Output(Output):
        """A LATENT."""

        io_type = "LATENT"


class Boolean:
    """True or false."""

    class Input(_Widget):
        """A switch."""

        io_type = "BOOLEAN"

        def __init__(
            self, id: str, *, label_on: str | None = None, label_off: str | None = None, **others: Any
        ) -> None:
            super().__init__(id, **others)

    class Output(Output):
        """A BOOLEAN."""

        io_type = "BOOLEAN"


class Int:
    """A whole number."""

    class Input(_Widget):
        """A number field."""

        io_type = "INT"

        def __init__(
            self,
            id: str,
            *,
            min: int | None = None,
            max: int | None = None,
            step: int | None = None,
            control_after_generate: bool | None = None,
            display_mode: Any = None,
            **others: Any,
        ) -> None:
            super().__init__(id, **others)
            self.min, self.max = min, max

    class Output(Output):
        """An INT."""

        io_type = "INT"


class Float:
    """A number."""

    class Input(_Widget):
        """A number field."""

        io_type = "FLOAT"

        def __init__(
            self,
            id: str,
            *,
            min: float | None = None,
            max: float | None = None,
            step: float | None = None,
            round: float | None = None,
            display_mode: Any = None,
            **others: Any,
        ) -> None:
            super().__init__(id, **others)
            self.min, self.max = min, max

    class Output(Output):
        """A FLOAT."""

        io_type = "FLOAT"


class String:
    """A text."""

    class Input(_Widget):
        """A text field."""

        io_type = "STRING"

        def __init__(
            self,
            id: str,
            *,
            multiline: bool = False,
            placeholder: str | None = None,
            dynamic_prompts: bool | None = None,
            **others: Any,
        ) -> None:
            super().__init__(id, **others)

    class Output(Output):
        """A STRING."""

        io_type = "STRING"


class Combo:
    """One of several texts."""

    class Input(_Widget):
        """A menu; a prompt with any other value is refused, unless validate_inputs names the input."""

        io_type = "COMBO"

        def __init__(
            self, id: str, options: list[Any], *, control_after_generate: bool | None = None, **others: Any
        ) -> None:
            super().__init__(id, **others)
            self.options = options


@dataclass
class Schema:
    """A node as ComfyUI shows it and runs it."""

    node_id: str
    display_name: str | None = None
    category: str = "sd"
    inputs: list[Any] = field(default_factory=list[Any])
    outputs: list[Any] = field(default_factory=list[Any])
    hidden: list[Hidden] = field(default_factory=list[Hidden])
    description: str = ""
    is_input_list: bool = False
    is_output_node: bool = False
    is_deprecated: bool = False
    is_experimental: bool = False
    is_api_node: bool = False
    not_idempotent: bool = False
    enable_expand: bool = False

    def validate(self) -> None:
        """Raises ValueError where two inputs or outputs have one id, also one of each, as 0.3.64 does."""
        ids = [each.id for each in (*self.inputs, *self.outputs) if each.id is not None]
        twice = [each for each, count in Counter(ids).items() if count > 1]
        if twice:
            raise ValueError(f"Ids must be unique between inputs and outputs, but {twice} are not.")

    def finalize(self) -> None:
        """A node that has an output for the user is given the prompt and the workflow."""
        if self.is_output_node:
            self.hidden += [each for each in (Hidden.prompt, Hidden.extra_pnginfo) if each not in self.hidden]


class NodeOutput:
    """One value for each output; `ui` for the browser, `expand` for more nodes."""

    def __init__(
        self,
        *args: Any,
        ui: dict[str, Any] | None = None,
        expand: dict[str, Any] | None = None,
        block_execution: str | None = None,
    ) -> None:
        self.args = args
        self.ui = ui
        self.expand = expand
        self.block_execution = block_execution

    def __getitem__(self, index: int) -> Any:
        return self.args[index]


class ComfyNode:
    """Base of a node. The engine makes an instance for each node of a workflow, and calls the class methods."""

    hidden: ClassVar[HiddenHolder] = HiddenHolder()

    @classmethod
    def define_schema(cls) -> Schema:
        """Every node must have one."""
        raise NotImplementedError

    @classmethod
    def GET_SCHEMA(cls) -> Schema:
        """The checked schema."""
        schema = cls.define_schema()
        schema.finalize()
        schema.validate()
        return schema
