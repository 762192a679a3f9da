"""
What a program has loaded when it is ready to be called: the plugin's side, and nothing of a host's.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from remora.codecs import JsonCodec
from remora.types import Call, Reply
from remora.wire import REQUEST, Frame, FrameDecoder, decode_response, encode_frame, encode_request, health_call

_PLUGIN = """
import json, sys
from dataclasses import dataclass, is_dataclass
from remora import serve, service

@dataclass(frozen=True)
class Text:
    text: str
    times: int = 1

@service("text.v1.Text")
class Texts:
    async def heard(self, request: Text) -> list[str]:
        return [request.text]

    async def compiled(self, request: Text) -> list[str]:
        ours = [each for name, each in sys.modules.items() if name.startswith("remora")]
        return sorted({each.__name__ for module in ours for each in vars(module).values() if is_compiled(each)})

def is_compiled(thing):
    if not isinstance(thing, type) or not thing.__module__.startswith("remora") or not is_dataclass(thing):
        return False
    return thing.__dataclass_params__.frozen and thing.__setattr__.__module__ != "remora._frozen"

serve(Texts())
"""
_HEAVY = {"attr", "attrs", "cattrs", "click", "grpc", "httpx", "opentelemetry", "packaging", "rich", "trio", "yaml"}
_HEAVY |= {"argparse", "decimal", "difflib", "hashlib", "httptools", "importlib_metadata", "msgspec", "pathlib"}
_HEAVY |= {"pytest", "random", "shutil", "tempfile", "urllib", "uuid", "zipfile"}
_HEAVY -= {"pathlib"} if sys.version_info >= (3, 15) else set()  # there `logging` loads it
_HOST = {"_assembly", "_caller", "_fleet", "_manager", "_pipeline", "_route", "_schema", "_supervisor", "client"}
_HOST |= {"metrics", "monitor", "testing", "types._plugins"}
_HOST |= {"config._load", "config._records", "io._channel", "policy._breaker", "wire._jsonl"}


@pytest.mark.every_cell
def test_program_that_answers_has_loaded_nothing_of_a_host_nor_anything_heavy(tmp_path: Path) -> None:
    """
    Asked over its own pipes, in one write: for its health, and for what it has loaded by the time that it answers.
    Of the frozen records among that, those of other extensions included, `dataclasses` has compiled no more than calls
    make by their constructors.
    """
    program = tmp_path / "plugin.py"
    program.write_text(_PLUGIN)
    asked = [Call(service="text.v1.Text", method=name, payload=b'{"text":"a"}') for name in ("heard", "compiled")]
    calls = dict(zip((1, 3, 5), (health_call(), *asked), strict=True))
    frames = [encode_frame(number, REQUEST, encode_request(each, 0)) for number, each in calls.items()]
    environment = {"REMORA_LISTEN": "stdio:", "REMORA_PROTOCOL": "ttrpc", "PATH": ""}
    with subprocess.Popen(
        [sys.executable, "-X", "importtime", str(program)],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdin.write(b"".join(frames))
        child.stdin.flush()
        replies, decoder = dict[int, bytes](), FrameDecoder()
        while len(replies) < 3 and (data := os.read(child.stdout.fileno(), 65536)):
            decoder.feed(data)
            while (frame := decoder.next_frame()) is not None:
                assert isinstance(frame, Frame)
                replies[frame.stream_id] = frame.message
        child.stdin.close()
        loaded = {
            line.rpartition(b"|")[2].strip().decode() for line in child.stderr if line.startswith(b"import time:")
        }

    compiled = _names(replies[5])
    assert _names(replies[3]) == {"a"}
    assert {name.partition(".")[0] for name in loaded} & _HEAVY == set()
    assert loaded & {f"remora.{name}" for name in _HOST} == set()
    assert {name for name in loaded if name.startswith("remora_exec._")} <= {
        f"remora_exec.{name}"
        for name in (
            "_pipes",
            "_tasks",
            "_transport",
            "_wires",
            "_wires._host_log",
            "_wires._printing",
            "_wires._stdio",
        )
    }
    assert compiled == {"Call", "Reply"}


def _names(message: bytes) -> set[str]:
    reply = decode_response(message, "application/json")
    assert isinstance(reply, Reply)
    return set(JsonCodec().decode(reply.payload, list[str]))
