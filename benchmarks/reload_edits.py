"""
The configuration that changes under load, and the edits that an operator makes.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from benchmarks.soak_chaos import Server, free_port

if TYPE_CHECKING:
    import random
    from pathlib import Path

Tables = dict[str, dict[str, Any]]


class Edits:
    """
    The configuration, and the edits that an operator makes.
    """

    def __init__(self, folder: Path, backend: str, rng: random.Random) -> None:
        log = folder / "log"
        self._rng = rng
        self._child = [sys.executable, "-m", "benchmarks.soak_plugin", str(log), backend]
        self.places = {
            "unix": [f"unix:{folder}/{name}" for name in "ab"],
            "http": [f"http://127.0.0.1:{free_port()}" for _ in "ab"],
            "grpc": [f"grpc://127.0.0.1:{free_port()}" for _ in "ab"],
        }
        self.servers = [Server(each, log, backend) for places in self.places.values() for each in places]
        self.tables: Tables = {name: {"endpoints": places[:1], **_common()} for name, places in self.places.items()}
        self.tables["exec"] = {
            "endpoint": f"exec:{self._child[0]}",
            "args": self._child[1:],
            "env": {"PYTHONPATH": os.getcwd()},
            **_common(),
        }

    def next(self) -> Tables:
        """
        The plugins' tables after the next edit.
        """
        self._rng.choice([self._retarget, self._retarget, self._reweight, self._relimit, self._extra])()
        return self.tables

    def broken(self) -> Tables:
        """
        The plugins' tables after an edit that must fail.
        """
        name = self._rng.choice([*self.places])
        nowhere = "unix:/nowhere/at/all" if name == "unix" else f"{name}://127.0.0.1:{free_port()}"
        return {**self.tables, name: {"endpoint": nowhere, **_common()}}

    def _retarget(self) -> None:
        """
        Change the endpoints, or the child's environment, which takes a new process.
        """
        name = self._rng.choice([*self.tables])
        if name in self.places:
            chosen = self._rng.sample(self.places[name], self._rng.randrange(1, 3))
            self.tables[name] = {**self.tables[name], "endpoints": chosen}
        elif name == "exec":
            env = {"PYTHONPATH": os.getcwd(), "EDITION": str(self._rng.randrange(10**6))}
            self.tables[name] = {**self.tables[name], "env": env, "instances": self._rng.randrange(1, 3)}

    def _reweight(self) -> None:
        name = self._rng.choice([*self.places])
        endpoints = [{"url": url, "weight": self._rng.randrange(1, 9)} for url in self.places[name]]
        self.tables[name] = {**self.tables[name], "endpoints": endpoints}

    def _relimit(self) -> None:
        name = self._rng.choice([*self.places, "exec"])
        limits = {
            "connection": {"max_connections": self._rng.randrange(2, 20)},
            "rate_limit": {
                "enabled": True,
                "requests_per_second": self._rng.randrange(9_000, 19_000),
                "burst_size": 999,
            },
            "circuit_breaker": {"failure_threshold": self._rng.randrange(1, 9)},
        }
        self.tables[name] = {**self.tables[name], **limits}

    def _extra(self) -> None:
        """
        Add a plugin, or remove one.
        """
        if self.tables.pop("extra", None) is None:
            self.tables["extra"] = {"endpoint": self.places["http"][1], "requires": ["http"], **_common()}


def _common() -> dict[str, Any]:
    return {"service": "soak.v1.Ledger", "retry": {"max_retries": 0}}
