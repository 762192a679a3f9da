"""
Programs that are no plugins, and plugins that misbehave.
"""

from __future__ import annotations

import logging
import os
import sys

import anyio
import pytest

from remora import Manager
from remora.errors import (
    Code,
    ConfigError,
    ConnectionLost,
    DeadlineExceeded,
    InvalidReply,
    MessageTooLarge,
    PluginDied,
    PluginError,
    RemoraError,
    Unavailable,
    WireError,
    WrongProtocol,
)
from remora.testing import EventRecorder
from remora.types import Call, Endpoint, HealthChanged, InstanceLost, InstanceReady, RequirementLost, Status
from remora_exec._keeping import _starter

pytestmark = pytest.mark.anyio

EVERY_ERROR_OF_GARBAGE = (PluginDied, WrongProtocol, WireError)


@pytest.mark.fault(21)
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("exec:./no/such/program", "there is no program /.*/no/such/program"),
        ("exec:no-such-program", "no program 'no-such-program' on PATH$"),
        (
            "exec:sh -c x.sh",
            r"no program 'sh -c x.sh' on PATH; arguments have a key of their own: args = ..-c., .x.sh..",
        ),
        ("exec:/bin/sh ./x.sh", r"no program /bin/sh ./x.sh; arguments have a key of their own: args = ..\./x.sh.."),
        ("exec:./no such/x", "there is no program /.*/no such/x$"),
        ("exec:~/x", r"there is no program /.*/~/x; no shell reads this: write \$\{HOME\} for"),
        ("exec:/tmp", "is a directory"),
        ("exec:", "no program is named"),
    ],
)
async def test_a_program_that_cannot_be_run_is_named(open_script, url, message):
    with pytest.raises(ConfigError, match=message):
        async with open_script(Endpoint(url)):
            pass


async def test_a_program_of_an_environment_that_is_not_activated_is_named(open_script):
    """
    As a host finds that was started by the path of its interpreter.
    """
    name = os.path.basename(sys.executable)
    with pytest.raises(ConfigError, match=f"'{name}' on PATH; did you mean {sys.executable}[?] .* activated"):
        async with open_script(Endpoint(f"exec:{name}"), env={"PATH": "/none"}):
            pass


@pytest.mark.fault(21)
async def test_a_file_that_is_not_executable_is_named(open_script, tmp_path):
    path = tmp_path / "program"
    path.touch(mode=0o644)
    with pytest.raises(ConfigError, match="program is not executable"):
        async with open_script(Endpoint(f"exec:{path}")):
            pass


@pytest.mark.fault(21)
async def test_a_missing_interpreter_is_named(open_script, script):
    with pytest.raises(ConfigError, match="the interpreter that its first line names does not exist"):
        async with open_script(script("", interpreter="/no/such/interpreter")):
            pass


@pytest.mark.fault(21)
async def test_a_file_that_is_no_program_is_named(open_script, tmp_path):
    path = tmp_path / "program"
    path.write_bytes(b"\x00\x01\x02")
    path.chmod(0o755)
    with pytest.raises(ConfigError, match="neither a program for this machine nor a script"):
        async with open_script(Endpoint(f"exec:{path}")):
            pass


@pytest.mark.fault(21)
async def test_a_missing_directory_is_named(open_script):
    with pytest.raises(ConfigError, match="there is no directory /no/such"):
        async with open_script(Endpoint("exec:sh"), work_dir="/no/such"):
            pass


async def test_an_unknown_protocol_is_named(open_script):
    with pytest.raises(ConfigError, match="'smtp' is none of ttrpc, jsonl, oneshot"):
        open_script(Endpoint("exec:sh"), protocol="smtp")


@pytest.mark.fault(66)
@pytest.mark.parametrize("text", ["a\0b", "x"])
async def test_a_nul_character_is_refused(open_script, text):
    with pytest.raises(ConfigError):
        async with open_script(Endpoint("exec:sh"), args=("a\0b",), env={"X": text}):
            pass


async def test_work_dir_and_executable_are_used(open_script, script, ask, tmp_path):
    endpoint = script('read -r line; printf \'{"id":1,"result":"%s"}\\n\' "$PWD $1"')
    program = endpoint.address
    options = {"protocol": "jsonl", "executable": program, "args": ("one",), "work_dir": str(tmp_path)}
    async with open_script(Endpoint("exec:ignored"), **options) as channel:
        assert await ask(channel, "m") == f"{tmp_path} one"


async def test_another_python_than_that_of_the_host_is_named_when_it_fails(open_script, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(PluginDied, match=rf"status 1 \(it was run by {program}, the host by .*python"):
        async with open_script(Endpoint(f"exec:{program}")):
            pass


@pytest.mark.fault(3)
async def test_a_child_that_exits_before_it_is_ready_tells_its_status_and_last_words(open_script, script):
    started = anyio.current_time()
    with pytest.raises(PluginDied, match=r"exited with status 7: no config \| giving up") as caught:
        async with open_script(script("echo no config >&2; echo giving up >&2; exit 7")):
            pass

    assert caught.value.exit_status == 7
    assert caught.value.stderr == ("no config", "giving up")
    assert anyio.current_time() - started < 4


@pytest.mark.fault(4)
async def test_a_silent_child_is_not_ready_and_killed_with_all_it_started(open_script, script, group_members, tmp_path):
    pid_file = tmp_path / "pid"
    body = f"echo $$ > {pid_file}; trap '' TERM; sleep 600 & sleep 600; sleep 600"
    started = anyio.current_time()
    with pytest.raises(Unavailable, match=r"not ready after 1 s"):
        async with open_script(script(body), connection_timeout=1):
            pass

    assert anyio.current_time() - started < 4
    assert group_members(int(pid_file.read_text())) == []


@pytest.mark.fault(5, 6)
@pytest.mark.parametrize(
    "body",
    [
        "echo 'Welcome to the best plugin in the world'; sleep 600",
        "echo 'Welcome to the best plugin in the world'; cat > /dev/null",
        "head -c 100000 /dev/zero; exec sleep 600",
        "exec cat /dev/zero",
        "exec yes",
        "printf '\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377\\377'; exec sleep 600",
        "echo hi",
    ],
)
async def test_garbage_in_place_of_ttrpc_is_one_clear_error(open_script, script, body):
    with anyio.fail_after(5), pytest.raises(RemoraError) as caught:
        async with open_script(script(body), connection_timeout=0.3):
            pass

    assert isinstance(caught.value, EVERY_ERROR_OF_GARBAGE) or "not ready" in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.fault(5)
async def test_an_echo_is_no_plugin(open_script, script):
    with anyio.fail_after(5), pytest.raises(RemoraError):
        async with open_script(script("exec cat"), connection_timeout=0.3):
            pass


@pytest.mark.fault(5, 23)
async def test_a_program_that_only_talks_is_no_jsonl_plugin(open_script, script, ask):
    async with open_script(script("exec yes 'hello there'"), protocol="jsonl") as channel:
        with anyio.fail_after(5):
            cause = await channel.wait_closed()
        with pytest.raises(WrongProtocol):
            await ask(channel, "m")

    assert isinstance(cause, WrongProtocol)
    assert "hello there" in str(cause)


@pytest.mark.fault(6)
async def test_an_endless_line_ends_the_conversation(open_script, script):
    async with open_script(script("exec cat /dev/zero"), protocol="jsonl", max_message_size=10_000) as channel:
        with anyio.fail_after(5):
            cause = await channel.wait_closed()

    assert isinstance(cause, WireError)


@pytest.mark.fault(5)
async def test_a_banner_before_the_first_answer_is_only_logged(open_script, script, ask, caplog):
    body = "echo Hello; read -r line; echo '[1]'; echo '{\"id\":1,\"result\":5}'; cat > /dev/null"
    async with open_script(script(body), protocol="jsonl", name="polite") as channel:
        assert await ask(channel, "m") == 5

    assert "stdout: Hello" in caplog.messages


@pytest.mark.fault(36, 37)
async def test_unknown_late_and_odd_answers_are_dropped(open_script, script, ask):
    body = """
        read -r line
        echo '{"id":99,"result":1}'; echo '{"id":"x","result":2}'; echo '{"result":3}'
        echo '{"id":1,"result":4}'; echo '{"id":1,"result":5}'
        read -r line; echo '{"id":2}'
        read -r line; echo '{"id":"3","result":6}'
        read -r line; echo '{"id":true,"result":7}'; echo '{"id":4.0,"result":8}'
        cat > /dev/null
    """
    async with open_script(script(body), protocol="jsonl") as channel:
        assert await ask(channel, "m") == 4
        with pytest.raises(InvalidReply, match="neither a result nor an error"):
            await ask(channel, "m")
        with pytest.raises(InvalidReply, match='has the text "3" as its id, not the number 3'):
            await ask(channel, "m")
        assert await ask(channel, "m") == 8


@pytest.mark.fault(32)
async def test_an_answer_that_is_no_json_fails_its_own_call_at_once(open_script, script, ask):
    """
    As Python's `json` writes numbers that are none.
    """
    body = """
        read -r line; echo '{"id": 1, "result": NaN}'
        read -r line; echo '{"id": 9, "loss": NaN}'; echo '{"id": 2, "result": 5}'
        cat > /dev/null
    """
    async with open_script(script(body), protocol="jsonl") as channel:
        with pytest.raises(InvalidReply, match="the answer is not JSON: NaN is not JSON"):
            await ask(channel, "m")
        assert await ask(channel, "m") == 5


@pytest.mark.fault(33)
async def test_an_overlong_answer_fails_its_own_call_only(open_script, script, ask):
    body = """
        read -r one; read -r two
        printf '{"id":1,"result":"'; head -c 20000 /dev/zero | tr '\\0' x; echo '"}'
        echo '{"id":2,"result":"fine"}'
        cat > /dev/null
    """
    results = {}

    async def first(channel):
        with pytest.raises(MessageTooLarge):
            await ask(channel, "one")
        results["one"] = "too large"

    opened = open_script(script(body), protocol="jsonl", max_message_size=10_000)
    async with opened as channel, anyio.create_task_group() as tasks:
        tasks.start_soon(first, channel)
        await anyio.wait_all_tasks_blocked()
        results["two"] = await ask(channel, "two")

    assert results == {"one": "too large", "two": "fine"}


@pytest.mark.fault(31)
async def test_a_child_that_never_reads_does_not_block_the_host(open_script, script, ask):
    async with open_script(script("exec sleep 600"), protocol="jsonl", stop_grace=0.1) as channel:
        with pytest.raises(RemoraError) as caught:
            await ask(channel, "m", "x" * 1_000_000, timeout=0.3)

    assert caught.value.code is Code.DEADLINE_EXCEEDED


@pytest.mark.fault(3)
async def test_a_quick_exit_of_a_jsonl_child_is_told_with_its_status(open_script, script, ask):
    async with open_script(script("echo oh no >&2; exit 4"), protocol="jsonl") as channel:
        with pytest.raises(PluginDied, match="exited with status 4: oh no"):
            await ask(channel, "m")


@pytest.mark.fault(24, 25, 26)
async def test_stderr_is_read_bounded_and_escaped(open_script, script, ask, caplog):
    caplog.set_level(logging.INFO)
    body = r"""
        head -c 10000000 /dev/zero | tr '\0' a >&2; echo >&2
        printf 'bad \377 \033[31mred\r\n' >&2
        printf '%s\n' '{"@level":"error","@message":"structured\nlines","user":"eve"}' >&2
        i=0; while [ $i -lt 3000 ]; do echo "line $i" >&2; i=$((i+1)); done
        read -r line; echo '{"id":1,"result":1}'
        cat > /dev/null
    """
    async with open_script(script(body), protocol="jsonl", name="loud") as channel:
        await ask(channel, "m")

    records = [record for record in caplog.records if record.name == "remora.plugin.loud"]
    assert len(records[0].getMessage()) < 66_000
    assert records[0].getMessage().endswith("[cut]")
    assert records[1].getMessage() == r"bad \xff \x1b[31mred"
    assert (logging.ERROR, r"structured\nlines") == (records[2].levelno, records[2].getMessage())
    assert records[2].__dict__["fields"] == {"user": "eve"}
    assert len(records) == 3003


@pytest.mark.fault(13, 14)
@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
async def test_a_grandchild_in_a_session_of_its_own_that_holds_the_pipes_delays_nobody(
    open_script, script, ask, is_running, protocol, tmp_path
):
    pid_file = tmp_path / "pid"
    body = f"setsid sh -c 'echo $$ > {pid_file}; exec sleep 30' & until [ -s {pid_file} ]; do :; done; exit 5"
    started = anyio.current_time()
    with pytest.raises(PluginDied, match="exited with status 5"):
        async with open_script(script(body), protocol=protocol) as channel:
            await ask(channel, "m")

    assert anyio.current_time() - started < 4
    assert not is_running(int(pid_file.read_text()))


async def test_oneshot_in_shell(open_script, script, ask):
    body = """printf '{"got": %s, "method": "%s"}' "$(cat)" "$REMORA_SERVICE/$REMORA_METHOD" """
    async with open_script(script(body), protocol="oneshot") as channel:
        assert await ask(channel, "up", [1, 2]) == {"got": [1, 2], "method": "S/up"}


async def test_oneshot_statuses_and_garbage(open_script, script):
    async def fail(body: str) -> RemoraError:
        async with open_script(script(body), protocol="oneshot", max_message_size=10_000) as channel:
            with anyio.fail_after(5), pytest.raises(RemoraError) as caught:
                await channel.call(Call(payload=b"1"))
        return caught.value

    temporary, broken = await fail("exit 75"), await fail("echo why >&2; exit 2")
    assert isinstance(temporary, PluginError)
    assert temporary.code is Code.UNAVAILABLE
    assert (Code.UNKNOWN, "the process exited with status 2: why") == (broken.code, str(broken))
    assert isinstance(await fail("echo hello"), InvalidReply)
    assert "wrote nothing" in str(await fail("true"))
    assert isinstance(await fail("exec yes"), MessageTooLarge)


@pytest.mark.parametrize("system", ["with a descriptor of a process", "without one"])
async def test_oneshot_where_no_keeper_runs(open_script, script, ask, monkeypatch, children, system):
    """
    Its end is told by a descriptor of its own, or by a thread where the system has none.
    """
    monkeypatch.setattr(_starter, "KEEPS_DESCENDANTS", False)
    if system == "without one":
        monkeypatch.delattr(os, "pidfd_open", raising=False)
    before = sorted(children())
    with anyio.fail_after(10):
        async with open_script(script('cat; [ "$REMORA_METHOD" = up ]'), protocol="oneshot") as channel:
            assert await ask(channel, "up", "x" * 200_000) == "x" * 200_000
            with pytest.raises(PluginError, match="status 1"):
                await ask(channel, "down", 7)

    assert before == sorted(children())


async def test_what_a_oneshot_said_before_its_time_was_over_is_logged(open_script, script, ask, caplog):
    """
    A line that it did not end included.
    """
    caplog.set_level(logging.INFO)
    async with open_script(script("echo first >&2; printf second >&2; exec sleep 600"), protocol="oneshot") as channel:
        with pytest.raises(DeadlineExceeded):
            await ask(channel, "m", timeout=0.5)

    assert ["first", "second"] == caplog.messages[-2:]


@pytest.mark.fault(20)
async def test_oneshot_runs_no_more_processes_than_allowed(script, tmp_path):
    body = f"d={tmp_path}; : > $d/run-$$; ls $d | grep -c run- ; sleep 0.1; rm $d/run-$$"
    table = {"endpoint": script(body).url, "protocol": "oneshot", "connection": {"max_connections": 4}}
    counts = []

    async def one(plugin):
        counts.append(await plugin.execute("x"))

    async with Manager({"plugins": {"p": table}}) as manager, anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(one, manager.plugin("p", str, int))

    assert len(counts) == 12
    assert max(counts) <= 4


@pytest.mark.fault(13, 19)
async def test_a_cancelled_oneshot_leaves_no_process(open_script, script, ask, group_members, until, tmp_path):
    pid_file = tmp_path / "pid"
    async with open_script(
        script(f"trap '' TERM; echo $$ > {pid_file}; sleep 600 & sleep 600"), protocol="oneshot"
    ) as channel:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, channel, "m")
            await until(lambda: pid_file.exists() and pid_file.read_text().strip() != "")
            tasks.cancel_scope.cancel()

        assert group_members(int(pid_file.read_text())) == []


async def test_last_words_are_told_with_the_end_and_not_with_what_follows_from_it(script):
    """
    What follows says how the process ended.
    """
    endpoint = script("read -r line; echo last words >&2; exit 7").url
    recorder = EventRecorder()
    dying = {"endpoint": endpoint, "protocol": "jsonl"}
    plugins = {"p": dying, "q": {**dying, "requires": ["p"]}}
    async with Manager({"plugins": plugins}, extensions=[recorder]) as manager:
        with anyio.fail_after(20):
            await recorder.wait_for(InstanceReady, plugin="p")
            with pytest.raises(PluginDied, match="exited with status 7: last words") as caught:
                await manager.execute("p", 1, int, method="m")
            await recorder.wait_for(InstanceReady, plugin="p", count=2)
        lost = recorder.of(InstanceLost, plugin="p")
        following = recorder.of(RequirementLost) + recorder.of(HealthChanged, plugin="p", after=Status.OFFLINE)
        again = recorder.of(InstanceReady, plugin="p")[1]

    assert caught.value.ending == "the process exited with status 7"
    assert [each.cause for each in lost] == ["the process exited with status 7: last words"]
    assert {each.cause for each in [*following, again]} == {"the process exited with status 7"}
    assert len(following) == 2


DEAF = """
import os, socket, time
from remora import serve

class Deaf:
    async def hang_up(self) -> None:
        for each in os.listdir("/proc/self/fd"):
            path = f"/proc/self/fd/{each}"
            if os.path.exists(path) and os.readlink(path).startswith("socket:"):
                with socket.socket(fileno=os.dup(int(each))) as wire:
                    try:
                        wire.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass

try:
    serve(Deaf())
finally:
    time.sleep(600)
"""


@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
async def test_a_program_that_closes_its_output_and_goes_on_is_replaced_at_once(script, write, protocol):
    """
    It is asked to end, without the time that a program has in which to notice the end of its input.
    """
    deaf = {"endpoint": f"exec:{write(DEAF)}", "service": "Deaf"}
    quiet = {"endpoint": script("read -r line; exec 1>&-; exec sleep 600").url}
    table = {"protocol": protocol, "options": {"stop_grace": 600}, "retry": {"max_retries": 0}}
    recorder = EventRecorder()
    plugins = {"p": {**table, **(deaf if protocol == "ttrpc" else quiet)}}
    with anyio.fail_after(20):
        async with Manager({"plugins": plugins}, extensions=[recorder]) as manager:
            await recorder.wait_for(InstanceReady, plugin="p")
            with pytest.raises(Unavailable, match="closed"):
                await manager.execute("p", {}, object, method="hang_up")
            await recorder.wait_for(InstanceReady, plugin="p", count=2)
            manager.hurry()


async def test_a_program_that_closes_its_input_and_goes_on_is_replaced(script):
    """
    It would answer no later call; the first of these finds out.
    """
    deaf = script("""read -r line; exec 0<&-; echo '{"id": 1, "result": {}}'; exec sleep 600""")
    table = {"endpoint": deaf.url, "protocol": "jsonl", "retry": {"max_retries": 0}}
    recorder = EventRecorder()
    with anyio.fail_after(20):
        async with Manager({"plugins": {"p": table}}, extensions=[recorder]) as manager:
            assert {} == await manager.execute("p", {}, object, method="m")
            with pytest.raises(ConnectionLost, match="the process closed its standard input"):
                await manager.execute("p", {}, object, method="m")
            await recorder.wait_for(InstanceReady, plugin="p", count=2)
            assert {} == await manager.execute("p", {}, object, method="m")
            manager.hurry()
