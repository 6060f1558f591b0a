"""Run by the WebUI before it starts: installs timm if it is missing, and nothing else.

The host already has timm's own requirements (torch, torchvision, ...), so they are never touched. ComfyUI's manager
runs this file too; there is no `launch` there, so nothing happens.
"""

import importlib.util


def main() -> None:
    """Install timm if it is missing, the WebUI runs this file, and extensions may install."""
    try:
        import launch
    except ImportError:
        return
    arguments = getattr(launch, "args", None)
    if getattr(arguments, "skip_install", False) or importlib.util.find_spec("timm"):
        return
    launch.run_pip("install --no-deps timm", "timm for Keepers")


main()
