"""
Programs that crash, and programs that nobody started properly.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading

import anyio
import pytest
from anyio.abc import SocketAttribute

from remora import Unavailable
from remora.types import InstanceFailed, InstanceLost, InstanceReady
from tests.architecture.sources import ROOT
from tests.faults.peers import ask, manager_of

pytestmark = pytest.mark.anyio


@pytest.mark.fault(9)
def test_a_plugin_that_is_started_by_hand_says_how_to_use_it() -> None:
    """
    One line, no traceback.
    """
    code = "import remora\nclass Text:\n  def upper(self, text: str) -> str: ...\nremora.serve(Text())"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=20, env={})

    assert done.returncode == 2
    assert done.stderr == "remora: nowhere to listen: pass --listen ADDRESS, or let a host set REMORA_LISTEN\n"


@pytest.mark.fault(10)
async def test_an_address_that_a_plugin_names_is_only_a_word(anyio_backend, program) -> None:
    """
    Be it in the handshake of another framework, beside an answer or in it: nobody connects to it.
    """
    visitors = []

    async def visited(stream) -> None:
        visitors.append(stream)
        await stream.aclose()

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        place = f"127.0.0.1:{listener.extra(SocketAttribute.local_port)}"
        body = f"""
            print("1|1|tcp|{place}|grpc", flush=True)
            def answer(request):
                print(json.dumps({{"endpoint": "http://{place}", "id": None, "address": "{place}"}}), flush=True)
                return {{"endpoint": "http://{place}", "pid": os.getpid()}}
        """
        with anyio.fail_after(20):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(listener.serve, visited)
                async with manager_of(mover=program(body)) as manager:
                    answers = [await ask(manager, "mover") for _ in range(3)]
                    await manager.info("mover")
                tasks.cancel_scope.cancel()

    assert answers == [{"endpoint": f"http://{place}", "pid": answers[0]["pid"]}] * 3
    assert visitors == []


@pytest.mark.fault(12)
@pytest.mark.long
async def test_a_program_that_keeps_crashing_is_left_alone_and_hurts_nobody(anyio_backend, program) -> None:
    """
    Five ends in a row, each restart later than the one before; the plugin beside it goes on.
    """
    crashing = program("print('no disk', file=sys.stderr); sys.exit(3)")
    steady = program("def answer(request): return os.getpid()")
    ends = []
    manager = manager_of(crashing=crashing, steady=steady)
    with anyio.fail_after(60), manager.events() as events:
        async with manager:
            pid = await ask(manager, "steady")
            async for event in events:
                if isinstance(event, InstanceLost | InstanceFailed) and event.plugin == "crashing":
                    ends.append(event)
                    if isinstance(event, InstanceFailed):
                        break
            with pytest.raises(Unavailable, match="exited with status 3: no disk"):
                await ask(manager, "crashing")
            assert await ask(manager, "steady") == pid

    assert [type(end) for end in ends] == [*[InstanceLost] * 4, InstanceFailed]
    assert "no disk" in ends[-1].cause


@pytest.mark.fault(1)
async def test_a_call_that_may_have_acted_is_not_repeated_when_its_plugin_dies(
    anyio_backend, program, tmp_path
) -> None:
    """
    Not even with retries to spare; one that may be made twice is answered by the next process.
    """
    log = tmp_path / "log"
    body = f"""
        def answer(request):
            with open({str(log)!r}, "a") as log:
                log.write(request["method"] + "\\n")
            if request["method"] == "die" or os.path.getsize({str(log)!r}) < 16:
                os.kill(os.getpid(), 9)
            return request["method"]
    """
    table = program(body, retry={"max_retries": 3})
    with anyio.fail_after(30):
        async with manager_of(fragile=table) as manager:
            with pytest.raises(Unavailable):
                await manager.plugin("fragile", object, object, method="die").execute(None)
            again = manager.plugin("fragile", object, object, method="again")
            assert await again.execute(None, idempotent=True) == "again"

    calls = log.read_text().split()
    assert calls.count("die") == 1
    assert calls.count("again") == 2


@pytest.mark.fault(16)
async def test_a_plugin_outlives_the_thread_that_started_it(anyio_backend, program) -> None:
    """
    Such a signal is bound to its warden, which has one thread for as long as it lives.
    """
    body = """
        import ctypes
        def answer(request):
            bound = ctypes.c_int(-1)
            ctypes.CDLL(None).prctl(2, ctypes.byref(bound))  # PR_GET_PDEATHSIG
            return [os.getpid(), bound.value, len(os.listdir(f"/proc/{os.getppid()}/task"))]
    """
    with anyio.fail_after(20):
        async with manager_of(lasting=program(body)) as manager:
            first = await ask(manager, "lasting")
            starters = [each for each in threading.enumerate() if each.name == "remora-start"]
            again = await ask(manager, "lasting")

    assert starters == []
    assert first == again == [first[0], signal.SIGKILL, 1]


@pytest.mark.fault(18)
def test_no_signal_goes_to_a_number_that_is_not_the_plugins_any_more(anyio_backend_name) -> None:
    """
    A dead child keeps its number until the host has waited for it; whatever comes later could hit a stranger.
    """
    command = [sys.executable, "-m", "tests.faults.signals", anyio_backend_name]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=40)
    seen = json.loads(done.stdout)

    assert seen["astray"] == []
    assert seen["sent"] >= 6


@pytest.mark.fault(58)
async def test_a_thousand_callers_start_a_program_once(anyio_backend, program, tmp_path) -> None:
    """
    They wait for it together.
    """
    log = tmp_path / "starts"
    body = f"""
        with open({str(log)!r}, "a") as log:
            log.write("started\\n")
        time.sleep(0.3)
        def answer(request): return request["payload"]
    """
    answers = []

    async def call(number: int) -> None:
        answers.append(await ask(manager, "slow", number))

    manager = manager_of(slow=program(body))
    with anyio.fail_after(60), manager.events() as events:
        async with manager:
            async with anyio.create_task_group() as tasks:
                for number in range(1000):
                    tasks.start_soon(call, number)
        starts = [event async for event in events if isinstance(event, InstanceReady)]

    assert sorted(answers) == list(range(1000))
    assert log.read_text() == "started\n"
    assert len(starts) == 1
