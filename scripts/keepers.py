"""The WebUI's door: it makes the package from the folder it stands in, and lets the extension register itself.

The host runs this file as a loose module at every load, also for "Reload UI", which forgets all callbacks. The folder
may have any name, and other extensions may own `models` or `core`, so nothing here is imported by way of sys.path.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

NAME = "keepers"
ROOT = Path(__file__).resolve().parent.parent


def load_package() -> None:
    """Put the checkout into sys.modules under its one name, unless it is there."""
    known = sys.modules.get(NAME)
    if known is not None and Path(getattr(known, "__file__", None) or "/").resolve().parent == ROOT:
        return
    for name in [name for name in sys.modules if name == NAME or name.startswith(f"{NAME}.")]:
        del sys.modules[name]  # another copy of Keepers: this one counts in this host
    spec = importlib.util.spec_from_file_location(NAME, ROOT / "__init__.py", submodule_search_locations=[str(ROOT)])
    assert spec is not None and spec.loader is not None
    sys.modules[NAME] = package = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)


load_package()
# The host looks for classes in this module: only these two may be found, never the host's own base classes.
KeepersScript, KeepersExtras = importlib.import_module(f"{NAME}.extension.register").register()
