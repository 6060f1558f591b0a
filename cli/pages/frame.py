"""What all pages share: the head, the logo, the buttons for light or dark and for the keyboard help, and that help.

They are written once, in page.html, between comments such as <!--logo--> and <!--/logo-->. Another page has only
<!--logo--> where it wants the same.
"""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).with_name("page.html")
SHARED = re.compile(r"[ ]*<!--(\w+)-->\n(.*?)[ ]*<!--/\1-->\n", re.DOTALL)
WANTED = re.compile(r"[ ]*<!--(\w+)-->\n")


def own_page() -> str:
    """page.html without the comments that mark its shared parts."""
    return SHARED.sub(r"\2", PAGE.read_text(encoding="utf-8"))


def framed(text: str) -> str:
    """Another page with the shared parts in their places. Raises KeyError for a part that page.html does not have."""
    parts = dict(SHARED.findall(PAGE.read_text(encoding="utf-8")))
    return WANTED.sub(lambda found: parts[found[1]], text)
