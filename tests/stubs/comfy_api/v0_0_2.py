"""What Keepers uses of ComfyUI's node interface, as comfy_api/latest/_io.py of 0.3.64 has it."""

from . import io as io


class ComfyExtension:
    """Base of what comfy_entrypoint returns; the loader asks it for the nodes."""

    async def on_load(self) -> None:
        """Newer versions call this first; 0.3.64 never does."""

    async def get_node_list(self) -> "list[type[io.ComfyNode]]":
        """The nodes of the pack."""
        raise NotImplementedError
