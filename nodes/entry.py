"""The list of our nodes for ComfyUI."""

from __future__ import annotations

from ..models.registry import EXPLAINED
from .caption import KeepersCaption
from .gate import KeepersGate
from .heatmap import KeepersHeatmap
from .host.api import ComfyExtension, io
from .host.host import register_folder
from .judging.menus import taggers, variants
from .load import KeepersLoad
from .model_nodes import model_nodes
from .retry import KeepersRetryEnd, KeepersRetryStart
from .save import KeepersSave
from .score import KeepersScore
from .tag import KeepersTag
from .tag_categories import KeepersTagCategories


class Extension(ComfyExtension):
    """What ComfyUI calls when it loads the pack."""

    async def get_node_list(self) -> list[type[io.ComfyNode]]:
        """All nodes that have a model. Our model folder is registered first, because the menus read it."""
        register_folder()
        return all_nodes()


def all_nodes() -> list[type[io.ComfyNode]]:
    """The nodes in workflow order, without those for which the registry has no model."""
    nodes: list[type[io.ComfyNode]] = [KeepersScore, KeepersGate, KeepersSave, KeepersLoad, KeepersCaption]
    nodes += [KeepersTag, KeepersTagCategories] if taggers() else []
    nodes += [KeepersHeatmap] if variants(EXPLAINED) else []
    return [*nodes, KeepersRetryStart, KeepersRetryEnd, *model_nodes()]
