"""
What tests of strangers use. Never run; mypy and pyright check the types.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import assert_type

from remora import InterceptorSpec, Manager, PluginInfo, Unavailable
from remora.schema import Change, compare, describe
from remora.testing import (
    Answer,
    Crash,
    Drop,
    Echo,
    Fail,
    Finding,
    Hang,
    ScriptedPlugin,
    TestHost,
    check_interceptor,
    examine,
)
from remora.types import InstanceReady


async def scripted(remora_host: TestHost, config: Mapping[str, object]) -> None:
    """
    A test with the fixture.
    """
    pay = remora_host.plugin("pay", retry={"max_retries": 0})
    assert_type(pay, ScriptedPlugin)
    pay.script("charge", Answer({"a": 1}), Echo(after=1), Fail(Unavailable("busy")), Hang(), Drop())
    pay.at(3, Crash())
    pay.at(3, "crash")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    assert_type(await remora_host.start(), Manager)
    await remora_host.start(config)
    assert_type(await remora_host.events.wait_for(InstanceReady, plugin="pay"), InstanceReady)
    assert_type(await examine("balancer", object()), list[Finding])
    assert_type([each.problem or each.skipped for each in await examine("codec", object())], list[str])
    assert_type(await check_interceptor(InterceptorSpec("idle", lambda plugin: None)), list[str])
    limited = InterceptorSpec("limited", lambda plugin, options: None, options=object)
    assert_type(await check_interceptor(limited, object()), list[str])
    assert_type(await examine("resolver", object(), {"path": "where.json"}), list[Finding])


def compared(old: type, new: type) -> None:
    """
    A test that a service still serves its callers.
    """
    assert_type(describe(old), PluginInfo)
    assert_type(compare(describe(old), describe(new)), list[Change])
