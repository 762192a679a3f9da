"""
What a host's author uses of security. Never run; mypy and pyright check that it needs no suppression.
"""

from __future__ import annotations

from remora import ExecutableRefused, Manager, ManagerConfig, PeerRefused
from remora.config import LimitsConfig, SecurityConfig, names_secret, without_credentials
from remora.inspection import Inspected
from remora.secret import redacted
from remora.security import AllowEntry, AllowList, Decision, Program, decide, parse_allow_list, render_allow_list
from remora.wire import printable

config = ManagerConfig(security=SecurityConfig(policy="strict", sandbox="bwrap", limits=LimitsConfig(open_files=64)))
programs: list[Inspected] = Manager(config).inspect()
hashes: list[str] = [each.inspection.sha256 for each in programs if each.inspection is not None]

allowed: AllowList = parse_allow_list(render_allow_list(AllowList({"p": AllowEntry(sha256=("0" * 64,))})))
program = Program(plugin="p", transport="exec", endpoint="exec:p", sha256="", size=0)
decision: Decision = decide("audit-only", allowed, program)
reasons: tuple[str, ...] = decision.reasons


def explain(error: ExecutableRefused | PeerRefused) -> str:
    """
    Both have a code and a message.
    """
    return f"{error.code}: {printable(error.message, most=200)}"


said: str = redacted("what somebody said")
details: dict[str, object] = redacted({"told": ["by", "somebody"]})
variables: dict[str, str] = {name: "***" if names_secret(name) else without_credentials("http://h") for name in ("A",)}
