"""What we take from huggingface_hub: addresses, its cache, its offline switch, its token. No network here.

The library is imported late: a host that never needs a model never waits for it.
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import urlsplit

from .weight_file import WeightFile


def endpoint() -> str:
    """The address of the hub or its mirror: HF_ENDPOINT as it is now, else as it was when the library was loaded."""
    from huggingface_hub import constants

    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def address(file: WeightFile) -> str:
    """Where a file is downloaded from; empty for a file that only a person can get."""
    if file.url or not file.repo:
        return file.url
    from huggingface_hub import hf_hub_url

    return hf_hub_url(file.repo, file.path or file.name, revision=file.revision, endpoint=endpoint())


def cached(file: WeightFile) -> Path | None:
    """The file in the hub's cache, where another program may have put it."""
    if not file.repo:
        return None
    from huggingface_hub import constants

    # The library reads HF_HUB_CACHE and HF_HOME only when it is loaded, but hosts also set them later.
    places = [os.environ.get("HF_HUB_CACHE"), _under_home(), constants.HF_HUB_CACHE]
    for place in dict.fromkeys(filter(None, places)):
        folder = Path(place).expanduser()
        if not (folder / f"models--{file.repo.replace('/', '--')}").is_dir():  # then the library would find nothing
            continue
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(file.repo, file.path or file.name, cache_dir=str(folder), revision=file.revision)
        if isinstance(found, str):
            return Path(found)
    return None


def _under_home() -> str:
    home = os.environ.get("HF_HOME")
    return str(Path(home) / "hub") if home else ""


def offline() -> bool:
    """Whether the user has forbidden the network, with HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE."""
    from huggingface_hub import constants

    now = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return constants.HF_HUB_OFFLINE or now.upper() in {"1", "ON", "YES", "TRUE"}


def is_hub(url: str) -> bool:
    """Whether an address belongs to the hub, or to the mirror that the user named."""
    return urlsplit(url)[:2] == urlsplit(endpoint())[:2]


def token_for(url: str) -> str:
    """The user's token, for addresses of the hub itself; empty for any other."""
    if not is_hub(url):
        return ""
    from huggingface_hub import get_token

    return get_token() or ""
