"""
The status page: one file that draws what `/status` says.
"""

from __future__ import annotations

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files

_INLINE = re.compile(r"<(style|script)>(.*?)</\1>", re.DOTALL)


@cache
def page() -> str:
    """
    The page.
    """
    return files("remora_admin").joinpath("page.html").read_text(encoding="utf-8")


@cache
def page_policy() -> str:
    """
    What a browser lets the page do (`Content-Security-Policy`): run what stands in it, and ask where it came from.
    """
    sources: dict[str, list[str]] = {"style": [], "script": []}
    for kind, text in _INLINE.findall(page()):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        sources[kind].append(f"'sha256-{digest}'")
    allowed = "; ".join(f"{kind}-src {' '.join(hashes)}" for kind, hashes in sources.items())
    return f"default-src 'none'; connect-src 'self'; {allowed}; base-uri 'none'; frame-ancestors 'none'"
