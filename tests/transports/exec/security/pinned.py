"""
Programs on a list, and what they answer.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from remora.config import SecurityConfig
from remora.security import AllowEntry, AllowList, render_allow_list
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build


def pins(path: Path, *programs: Path, **facts: Any) -> str:
    """
    Write a list that pins programs for the plugin `p`.
    """
    hashes = tuple(hashlib.sha256(each.read_bytes()).hexdigest() for each in programs)
    path.write_text(render_allow_list(AllowList({"p": AllowEntry(sha256=hashes, **facts)})))
    path.chmod(0o644)
    return str(path)


async def answer(path: Path | str, security: SecurityConfig, **options: Any) -> Any:
    """
    What the program answers when it is run once.
    """
    transport = build(ExecOptions(name="p", protocol="oneshot", security=security, **options))
    async with transport.open(Endpoint(f"exec:{path}")) as channel:
        return json.loads((await channel.call(Call(payload=b"null"))).payload)
