"""
A process that is sent 300 MiB in 300 kB, as a reply or as a request, and tells how much memory that took.
"""

from __future__ import annotations

import json
import resource
import sys
import zlib
from functools import partial

import anyio
from anyio.abc import SocketAttribute, SocketStream

from remora import Call, Endpoint, RemoraError, serving
from remora_http.plugin import Options, build
from tests.faults.peers import http_answer, http_request


def bomb() -> bytes:
    """
    300 MiB of zeros, compressed piece by piece.
    """
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(300)), packer.flush()])


def memory() -> int:
    """
    The most bytes that this process has had.
    """
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


async def as_reply(packed: bytes) -> str:
    """
    The code with which a host ends its call.
    """

    async def talk(stream: SocketStream) -> None:
        async with stream:
            while request := await http_request(stream):
                body = packed if request.startswith(b"POST") else b""
                await stream.send(http_answer(body, "200 OK", "Content-Encoding: gzip" if body else "X: 1"))

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, talk)
        port = listener.extra(SocketAttribute.local_port)
        async with build(Options()).open(Endpoint(f"http://127.0.0.1:{port}")) as channel:
            try:
                await channel.call(Call())
                code = "OK"
            except RemoraError as error:
                code = str(error.code)
        tasks.cancel_scope.cancel()
    return code


class Sum:
    def add(self, numbers: list[int]) -> int:
        return sum(numbers)


async def as_request(packed: bytes) -> str:
    """
    The code with which a plugin answers.
    """
    async with serving(Sum(), listen="http:") as served:
        host, _, port = served.endpoints[0].address.partition(":")
        async with await anyio.connect_tcp(host, int(port)) as stream:
            head = (
                f"POST /Sum/add HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(packed)}"
            )
            await stream.send(f"{head}\r\nContent-Encoding: gzip\r\nConnection: close\r\n\r\n".encode() + packed)
            answer = b""
            while b"resource_exhausted" not in answer:
                answer += await stream.receive()
    return "RESOURCE_EXHAUSTED"


async def main(side: str) -> None:
    """
    Let the bomb go off, and report.
    """
    packed = bomb()
    before = memory()
    with anyio.fail_after(30):
        code = await (as_reply if side == "host" else as_request)(packed)
    print(json.dumps({"code": code, "grown": memory() - before}))


if __name__ == "__main__":
    anyio.run(partial(main, sys.argv[2]), backend=sys.argv[1])
