"""
The plugin's side and the host's side against each other, in all three protocols.

A test that leaves the plugin as it was takes the shared `child`.
"""

from __future__ import annotations

import os
import signal

import anyio
import pytest

from remora import Manager
from remora.errors import Code, DeadlineExceeded, InvalidRequest, MessageTooLarge, PluginDied, PluginError
from remora.types import Call, InstanceReady, Status

pytestmark = pytest.mark.anyio

LASTING = pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
ALL = pytest.mark.parametrize("protocol", ["ttrpc", "jsonl", "oneshot"])
SHARED = pytest.mark.parametrize("child", ["ttrpc", "jsonl"], indirect=True, scope="module")
SHARED_ALL = pytest.mark.parametrize("child", ["ttrpc", "jsonl", "oneshot"], indirect=True, scope="module")


@SHARED_ALL
async def test_a_call_carries_payload_and_identifier(child, ask):
    reply = await ask(child, "echo", {"a": ["ü", 1.5, None]}, request_id="r-1")

    assert reply["request"] == {"a": ["ü", 1.5, None]}
    assert reply["id"] == "r-1"
    assert reply["peer"] == f"pid:{os.getpid()} uid:{os.getuid()}"


@SHARED
async def test_headers_travel(child, ask):
    reply = await ask(child, "echo", headers={"x-tenant": "acme"})

    assert reply["headers"]["x-tenant"] == "acme"


@SHARED_ALL
async def test_the_plugin_sees_the_remaining_time(child, ask):
    remaining = await ask(child, "remaining", timeout=30)

    assert 20 < remaining <= 30


@SHARED
async def test_the_plugins_no_arrives_with_code_message_and_details(child, ask):
    with pytest.raises(PluginError, match="no such user") as caught:
        await ask(child, "no")

    assert caught.value.code is Code.NOT_FOUND
    assert caught.value.details == {"user": 7}


async def test_a_oneshot_no_carries_the_message_only(open_child, ask):
    async with open_child("oneshot") as channel:
        with pytest.raises(PluginError, match=r"status 1: .*no such user") as no:
            await ask(channel, "no")
        with pytest.raises(PluginError, match=r"status 75: .*come back") as busy:
            await ask(channel, "busy")

    assert no.value.code is Code.UNKNOWN
    assert busy.value.code is Code.UNAVAILABLE


@SHARED
async def test_a_bug_in_the_plugin_is_internal_and_keeps_its_secrets(child, ask):
    with pytest.raises(PluginError, match=r"^internal error$") as caught:
        await ask(child, "bug")

    assert caught.value.code is Code.INTERNAL


@SHARED_ALL
async def test_large_messages_pass_up_to_the_limit(child, ask):
    text = "x" * 4_000_000
    reply = await ask(child, "echo", text)

    assert reply["request"] == text


@pytest.mark.fault(33)
@ALL
async def test_a_message_above_the_limit_fails_alone(open_child, ask, protocol):
    async with open_child(protocol, max_message_size=100_000) as channel:
        with pytest.raises(MessageTooLarge):
            await ask(channel, "big", 200_000)
        with pytest.raises(MessageTooLarge) as caught:
            await ask(channel, "echo", "x" * 200_000)

        assert await ask(channel, "big", 3) == "xxx"
        assert not caught.value.sent


@SHARED
async def test_calls_are_answered_out_of_order(child, ask, tmp_path):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, child, "sleep", str(tmp_path / "marker"))

        assert [await ask(child, "big", n) for n in range(50)] == ["x" * n for n in range(50)]
        tasks.cancel_scope.cancel()


@SHARED
async def test_a_cancelled_call_is_cancelled_in_the_plugin(child, ask, until, tmp_path):
    marker = tmp_path / "marker"
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(ask, child, "sleep", str(marker))
        await until(marker.with_suffix(".begun").exists)
        tasks.cancel_scope.cancel()
    await until(marker.exists)

    assert await ask(child, "big", 1) == "x"


@ALL
async def test_a_deadline_ends_the_call_by_itself(open_child, ask, protocol, tmp_path):
    async with open_child(protocol) as channel:
        started = anyio.current_time()
        with pytest.raises(DeadlineExceeded):
            await ask(channel, "hang" if protocol == "oneshot" else "sleep", str(tmp_path / "marker"), timeout=0.3)

        assert anyio.current_time() - started < 4


@SHARED_ALL
async def test_a_deadline_in_the_past_sends_nothing(child, ask):
    with pytest.raises(DeadlineExceeded) as caught:
        await ask(child, "crash", timeout=-1)

    assert not caught.value.sent


@pytest.mark.fault(1)
@LASTING
async def test_a_killed_child_fails_its_calls_at_once(open_child, ask, protocol):
    async with open_child(protocol) as channel:
        pid = await ask(channel, "pid")
        errors = []

        async def hang():
            with pytest.raises(PluginDied) as caught:
                await ask(channel, "hang")
            errors.append(caught.value)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(hang)
            tasks.start_soon(hang)
            await anyio.wait_all_tasks_blocked()
            os.kill(pid, signal.SIGKILL)
        with anyio.fail_after(5):
            cause = await channel.wait_closed()
        with pytest.raises(PluginDied, match="SIGKILL") as late:
            await ask(channel, "pid")

    assert [-signal.SIGKILL] * 3 == [error.exit_status for error in (*errors, cause)]
    assert "was killed by signal 9 (SIGKILL)" in str(cause)
    assert errors[0] is not errors[1]
    assert not late.value.sent


@pytest.mark.fault(1)
@ALL
async def test_a_crash_carries_status_and_last_words(open_child, ask, protocol):
    expected = PluginError if protocol == "oneshot" else PluginDied
    async with open_child(protocol) as channel:
        with pytest.raises(expected, match=r"exited with status 3: .*last words"):
            await ask(channel, "crash")


@pytest.mark.fault(2)
@LASTING
async def test_a_stopped_child_is_met_by_the_deadline_and_recovers(open_child, ask, protocol):
    async with open_child(protocol) as channel:
        pid = await ask(channel, "pid")
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(DeadlineExceeded):
            await ask(channel, "pid", timeout=0.3)
        os.kill(pid, signal.SIGCONT)

        assert await ask(channel, "pid") == pid


@pytest.mark.fault(72, 73)
@ALL
async def test_the_child_gets_a_short_environment_and_three_descriptors(open_child, ask, protocol, monkeypatch):
    monkeypatch.setenv("CANARY", "secret")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("WANTED", "1")
    async with open_child(protocol, name="pay", env={"OWN": "2"}, inherit_env=("WANTED",)) as channel:
        environ = await ask(channel, "environ")
        descriptors = await ask(channel, "descriptors")

    assert "CANARY" not in environ
    assert ("C.UTF-8", "1", "2") == (environ["LC_ALL"], environ["WANTED"], environ["OWN"])
    assert ("stdio:", protocol, "pay") == (
        environ["REMORA_LISTEN"],
        environ["REMORA_PROTOCOL"],
        environ["REMORA_PLUGIN"],
    )
    assert len(descriptors) < 15


@pytest.mark.parametrize("child", ["ttrpc"], indirect=True, scope="module")
async def test_standard_input_and_output_of_ttrpc_are_one_socket(child, ask):
    """
    One and the same, which costs the host a third of what two pipes do.
    """
    stdin, stdout = await ask(child, "standard")

    assert "s" == stdin[0]
    assert stdin == stdout


@pytest.mark.parametrize("child", ["jsonl"], indirect=True, scope="module")
async def test_standard_input_and_output_of_lines_are_two_pipes(child, ask):
    """
    Programs of any language expect those.
    """
    stdin, stdout = await ask(child, "standard")

    assert ("p", "p") == (stdin[0], stdout[0])
    assert stdin != stdout


@pytest.mark.fault(13)
@LASTING
async def test_leaving_ends_grandchildren_too(open_child, ask, protocol, group_members):
    async with open_child(protocol) as channel:
        group = await ask(channel, "grandchild")
        assert len(group_members(group)) == 2
        started = anyio.current_time()

    assert anyio.current_time() - started < 4
    assert group_members(group) == []


@pytest.mark.fault(19)
@LASTING
async def test_a_child_that_ignores_everything_is_killed_in_a_bounded_time(open_child, ask, protocol, group_members):
    async with open_child(protocol, stop_grace=0.2, term_grace=0.2) as channel:
        pid = await ask(channel, "stubborn")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, channel, "hang")
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        started = anyio.current_time()

    assert anyio.current_time() - started < 4
    assert group_members(pid) == []


@pytest.mark.fault(22)
@LASTING
async def test_leaving_by_cancellation_leaves_no_process(open_child, ask, protocol, group_members):
    with anyio.CancelScope() as scope:
        async with open_child(protocol) as channel:
            pid = await ask(channel, "pid")
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert group_members(pid) == []


@pytest.mark.fault(22)
async def test_a_manager_that_is_cancelled_lets_its_child_end_in_good_order(script, tmp_path, anyio_backend):
    """
    It gets the end of its input, and the time to do something about that.
    """
    endpoint = script("while read line; do :; done\necho done > last-words\n")
    plugin = {"endpoint": endpoint.url, "protocol": "jsonl", "work_dir": str(tmp_path)}
    quiet = {"health_check": {"enabled": False}}
    with anyio.fail_after(20), anyio.CancelScope() as scope:
        async with Manager({"plugins": {"p": {**plugin, **quiet}}}) as manager:
            with manager.events() as events:
                async for event in events:
                    if isinstance(event, InstanceReady):
                        break
            scope.cancel()
            await anyio.sleep_forever()

    assert scope.cancelled_caught
    assert (tmp_path / "last-words").read_text() == "done\n"


@LASTING
async def test_an_error_of_the_block_comes_out_as_itself(open_child, protocol):
    with pytest.raises(KeyError, match="mine"):
        async with open_child(protocol):
            raise KeyError("mine")


@SHARED_ALL
async def test_a_running_child_is_healthy(child):
    assert (await child.probe()).status is Status.HEALTHY


@pytest.mark.fault(65)
@pytest.mark.parametrize("child", ["jsonl", "oneshot"], indirect=True, scope="module")
@pytest.mark.parametrize("call", [Call(payload=b"{"), Call(payload=b"x", content_type="application/proto")])
async def test_what_is_no_json_is_refused(child, call):
    with pytest.raises(InvalidRequest):
        await child.call(call)


@pytest.mark.fault(1)
async def test_a_killed_oneshot_says_so(open_script, script):
    async with open_script(script("kill -9 $$"), protocol="oneshot") as channel:
        with pytest.raises(PluginDied, match="SIGKILL"):
            await channel.call(Call(payload=b"1"))
