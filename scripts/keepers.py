"""The WebUI's entry point: it loads the package from this checkout and lets the extension register itself.

The host runs this file as a loose module at every load, including "Reload UI", which drops all callbacks. The folder
may have any name, and other extensions may own `models` or `core`, so nothing here is imported through sys.path.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

NAME = "keepers"
ROOT = Path(__file__).resolve().parent.parent


def load_package() -> None:
    """Put the checkout into sys.modules under its one name, unless it is there already."""
    known = sys.modules.get(NAME)
    if known is not None and Path(getattr(known, "__file__", None) or "/").resolve().parent == ROOT:
        return
    for name in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
        del sys.modules[name]  # from another copy of Keepers: this host uses this one
    spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None and spec.loader is not None
    sys.modules[NAME] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


load_package()
# The host looks for classes in this module. It must find only these two, never its own base classes.
KeepersScript, KeepersExtras = importlib.import_module(f"{NAME}.extension.register").register()
