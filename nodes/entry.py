"""The list of our nodes for ComfyUI."""

from __future__ import annotations

from .api import ComfyExtension, io
from .gate import KeepersGate
from .host import register_folder
from .save import KeepersSave
from .score import KeepersScore

NODES: tuple[type[io.ComfyNode], ...] = (KeepersScore, KeepersGate, KeepersSave)


class Extension(ComfyExtension):
    """What ComfyUI asks for when it loads the pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes; our model folder is made known first, because their menus look into it."""
        register_folder()
        return list(NODES)
