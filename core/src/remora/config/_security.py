"""
The `[security]` table: which programs a host may start, and how they are confined.

What lives here: records. What must not: anything that enforces them (that is up to what starts programs).
"""

# No postponed annotations here, as in `_records`.

from dataclasses import field
from typing import Literal

from remora._frozen import dataclass
from remora.values import Count, Number


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """
    What one process of a plugin may use at most; a key that is left out leaves the host's own limit.

    Attributes:
        memory: Bytes of address space, which is more than what is really used; some run-times reserve a lot of it.
        open_files: How many file descriptors may be open.
        processes: How many processes and threads the user may have in all; it does not bind root.
        cpu_seconds: Seconds of CPU time in the whole life of the process.
        core: Bytes of a core dump, which may hold secrets.
    """

    memory: Count | None = None
    open_files: Count | None = None
    processes: Count | None = None
    cpu_seconds: Count | None = None
    core: Number | None = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityConfig:
    """
    Which programs may be started, and how they are confined.

    Attributes:
        policy: "strict" starts only what the list allows, "permissive" also what it does not name, "audit-only" all.
        allow_list: A TOML or JSON file with the hashes of the programs of plugins; `remora security pin` writes it.
        audit_log: A file that gets a line of JSON for every decision.
        audit_size: Bytes after which a new file of the audit log is begun.
        audit_files: How many full files of it are kept.
        no_new_privileges: Whether programs gain nothing from set-user-id files, where the system supports that.
        limits: What one process may use at most.
        sandbox: "bwrap" starts programs inside bubblewrap; "none" does not.
    """

    policy: Literal["strict", "permissive", "audit-only"] = "permissive"
    allow_list: str = ""
    audit_log: str = ""
    audit_size: Count = 10 * 1024 * 1024
    audit_files: Number = 5
    no_new_privileges: bool = True
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    sandbox: Literal["none", "bwrap"] = "none"
