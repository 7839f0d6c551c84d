"""applicationHost.config texts for the cases."""

from __future__ import annotations

import re
from pathlib import Path

TEMPLATE = (Path(__file__).parent / "applicationHost.config").read_text(encoding="utf-8")


def configuration(farms: str = "", rules: str = "", *, modules: bool = True) -> str:
    """The template with `farms` and `rules`; without `modules` as it is before URL Rewrite and ARR are installed. CRLF, as on Windows."""
    if modules:
        text = TEMPLATE.replace("<!--MODULES-->", "").replace("FARMS", _block(farms)).replace("RULES", _block(rules))
    else:
        text = "".join(line for line in TEMPLATE.splitlines(keepends=True) if "<!--MODULES-->" not in line)
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def _block(xml: str) -> str:
    return "\n" + xml if xml else ""


def inner(text: str, element: str) -> str:
    """What stands inside an element of a configuration, '' where it is empty or missing."""
    found = re.search(rf"<{element}>(.*)</{element}>", text, re.DOTALL)
    return found[1] if found else ""
