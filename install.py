"""Run by the WebUI before it starts: installs timm where it is missing, and nothing else.

timm's own requirements (torch, torchvision, ...) are what the host has already, so they are never touched. ComfyUI's
manager runs this file as well; there is no `launch` there, and nothing happens.
"""

import importlib.util


def main() -> None:
    """Install what is missing, when the WebUI runs this and lets extensions install."""
    try:
        import launch
    except ImportError:
        return
    arguments = getattr(launch, "args", None)
    if getattr(arguments, "skip_install", False) or importlib.util.find_spec("timm"):
        return
    launch.run_pip("install --no-deps timm", "timm for Keepers")


main()
