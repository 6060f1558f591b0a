"""What Keepers uses of comfy/cli_args.py."""

from __future__ import annotations

from types import SimpleNamespace

args = SimpleNamespace(disable_metadata=False)
