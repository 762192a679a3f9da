"""
What is compared with what: the pairs, and the cells in which each is measured.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks import codec, ours, overhead, peers_grpc, peers_http, peers_streams, served

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.rounds import Contender

    Make = Callable[[str, bytes, int], Contender]
    """Makes a contender for an address, a payload, and a number of callers."""

BACKENDS = ("asyncio", "uvloop", "trio")
CALLERS = (1, 32, 256)
SIZES = (100, 64 * 1024)


@dataclass(frozen=True, slots=True)
class Target:
    """
    The target ratio of CPU, and the cells for which it holds.
    """

    ratio: float
    backends: tuple[str, ...] = BACKENDS
    callers: tuple[int, ...] = CALLERS


@dataclass(frozen=True, slots=True)
class Pair:
    """
    Remora compared with a peer.

    Attributes:
        family: Its name for `--only`.
        name: Its name in the table.
        ours: Makes Remora's contender.
        peer: Makes the peer, which may support only asyncio.
        our_server: The kind of server that Remora calls; empty for none.
        peer_server: The kind of server that the peer calls.
        targets: The target ratios; the first that holds for a cell counts.
        callers: The numbers of concurrent callers.
        sizes: The payload sizes in bytes.
        backends: The event loops on which Remora runs.
        peer_knows_trio: Whether the peer runs on trio when Remora does; otherwise it stays on asyncio.
        is_of_servers: Whether event loop and CPU are those of the servers, which the same client calls.
        roams: Whether the clients may use any CPU, because they have threads, or start a process for each call.
    """

    family: str
    name: str
    ours: Make
    peer: Make
    our_server: str = ""
    peer_server: str = ""
    targets: tuple[Target, ...] = ()
    callers: tuple[int, ...] = CALLERS
    sizes: tuple[int, ...] = SIZES
    backends: tuple[str, ...] = BACKENDS
    peer_knows_trio: bool = False
    is_of_servers: bool = False
    roams: bool = False

    def target(self, backend: str, callers: int) -> float | None:
        """
        The target ratio for one cell; None when there is none.
        """
        found = (each.ratio for each in self.targets if backend in each.backends and callers in each.callers)
        return next(found, None)


def _pipeline(_: str, __: bytes, callers: int) -> Contender:
    return overhead.remora_calls("least-connections")


def _pipeline_with_scopes(_: str, __: bytes, callers: int) -> Contender:
    return overhead.remora_calls("least-connections", native_deadline=False)


def _hand_wired(_: str, __: bytes, callers: int) -> Contender:
    return overhead.hand_wired


def _over_channel(family: str, server: str) -> Pair:
    return Pair(
        family,
        f"{family}: framework / its own channel",
        ours.through_pipeline,
        ours.over_channel,
        server,
        server,
        targets=(Target(1.6),),
        peer_knows_trio=True,
    )


def _served(transport: str, peer: str, *, knows_trio: bool = False) -> Pair:
    return Pair(
        "serve",
        f"serve: {transport} / {peer} with a bare echo",
        served.over_unix if transport == "unix" else served.over_http,
        served.over_http,
        f"served-{transport}",
        peer,
        targets=(Target(1.0, callers=(32,)),),
        sizes=(100,),
        peer_knows_trio=knows_trio,
        is_of_servers=True,
    )


def _bare_server() -> Pair:
    return Pair(
        "serve",
        "serve: http, without a codec / uvicorn with a bare echo",
        served.over_http,
        served.over_http,
        "bare-http",
        "uvicorn",
        is_of_servers=True,
    )


_BESIDE_A_POOL = Target(1.6, callers=(1,)), Target(1.5, backends=("trio",)), Target(1.0)

PAIRS = (
    Pair(
        "overhead", "pipeline / hand-wired policies, no transport", _pipeline, _hand_wired,
        targets=(Target(0.12),), callers=(1,), sizes=(100,),
    ),
    Pair(
        "overhead", "pipeline with a cancel scope per call / hand-wired policies, no transport", _pipeline_with_scopes,
        _hand_wired, targets=(Target(0.35),), callers=(1,), sizes=(100,),
    ),
    Pair(
        "codec", "JSON record of 6 fields / msgspec", codec.json_codec, codec.direct_msgspec,
        targets=(Target(1.3),), callers=(1,), sizes=(100,), backends=("asyncio",),
    ),
    Pair("http", "http: framework / httpx", ours.through_pipeline, peers_http.bare_httpx, "http", "http",
         targets=(Target(0.12),), peer_knows_trio=True),
    Pair("http", "http: framework / aiohttp", ours.through_pipeline, peers_http.bare_aiohttp, "http", "http",
         targets=(Target(0.5),)),
    Pair("http", "http: framework / httpx2", ours.through_pipeline, peers_http.bare_httpx2, "http", "http",
         targets=(Target(0.12),), peer_knows_trio=True),
    Pair("http", "http: framework / httpx hand-wired", ours.through_pipeline, peers_http.hand_wired_httpx, "http",
         "http"),
    Pair("http", "http: framework with the engine httpx / httpx", ours.through_httpx, peers_http.bare_httpx, "http",
         "http", peer_knows_trio=True),
    _over_channel("http", "http"),
    Pair("unix", "unix: framework / pool of asyncio streams", ours.through_pipeline, peers_streams.unix_pool, "ttrpc",
         "frames", targets=_BESIDE_A_POOL),
    Pair("unix", "unix: framework / pool of asyncio streams that gives its memory back", ours.through_pipeline,
         peers_streams.unix_pool_without_memory, "ttrpc", "frames", targets=_BESIDE_A_POOL),
    Pair("unix", "unix: framework, to a whole plugin / pool of asyncio streams", ours.through_pipeline,
         peers_streams.unix_pool, "unix-plugin", "frames"),
    Pair("unix", "unix: framework / httpx over TCP", ours.through_pipeline, peers_http.bare_httpx, "ttrpc", "http",
         targets=(Target(0.083, callers=(1,)), Target(0.04)), sizes=(100,), peer_knows_trio=True),
    Pair("unix", "unix: framework / httpx over a Unix socket", ours.through_pipeline, peers_http.httpx_over_unix,
         "ttrpc", "http-unix", peer_knows_trio=True),
    _over_channel("unix", "ttrpc"),
    Pair("grpc", "grpc: framework / grpc.aio", ours.through_pipeline, peers_grpc.bare_grpc, "grpc", "grpc",
         targets=(Target(1.1, backends=("asyncio", "uvloop")), Target(1.6, callers=(32, 256))), roams=True),
    Pair("grpc", "grpc: framework / blocking grpc in trio's threads", ours.through_pipeline, peers_grpc.grpc_in_threads,
         "grpc", "grpc", targets=(Target(0.7, callers=(32, 256)),), backends=("trio",), peer_knows_trio=True,
         roams=True),
    Pair("exec", "exec: framework / asyncio subprocess with a lock", ours.through_pipeline,
         peers_streams.child_and_lock, "exec", "child", targets=(Target(0.6, callers=(32, 256)),)),
    Pair("exec", "exec: framework, to a whole plugin / asyncio subprocess with a lock", ours.through_pipeline,
         peers_streams.child_and_lock, "exec-plugin", "child"),
    Pair("oneshot", "oneshot: framework / anyio.run_process", ours.through_pipeline, peers_streams.process_per_call,
         "oneshot", "", targets=(Target(1.1),), callers=(1, 32), sizes=(100,), peer_knows_trio=True, roams=True),
    _served("http", "uvicorn"),
    _bare_server(),
    _served("http", "hypercorn", knows_trio=True),
    _served("unix", "uvicorn"),
)  # fmt: skip
