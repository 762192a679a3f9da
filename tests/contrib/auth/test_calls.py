"""
Credentials on real wires: shown by a host, verified by a served plugin.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest

from remora import (
    AccessConfig,
    AuthConfig,
    AuthSpec,
    Call,
    Code,
    ConfigError,
    DeadlineExceeded,
    NoCredentials,
    PluginError,
    RemoraError,
    Secret,
    ServeOptions,
    Status,
    hookimpl,
    service,
    serving,
)
from remora.types import Refresh
from tests.contrib.auth.who import Who, ask, manager_for

pytestmark = pytest.mark.anyio

CANARY = "canary-4711"
ADDRESSES = ["http:", "grpc:", "unix:"]


SHOWN = [
    (
        AccessConfig(method="api-key", callers={"bob": Secret("k")}),
        AuthConfig(method="api-key", api_key=Secret("k")),
        "bob",
    ),
    (
        AccessConfig(method="api-key", header="X-Key", api_key=Secret("k")),
        AuthConfig(method="api-key", header="x-key", api_key=Secret("k")),
        "api key",
    ),
    (
        AccessConfig(method="bearer", callers={"bob": Secret("b"), "eve": Secret("e")}),
        AuthConfig(method="bearer", token=Secret("e")),
        "eve",
    ),
    (
        AccessConfig(method="basic", username="bob", password=Secret("p:ä")),
        AuthConfig(method="basic", username="bob", password=Secret("p:ä")),
        "bob",
    ),
    (
        AccessConfig(method="bearer", token=Secret("t")),
        AuthConfig(method="custom", headers={"Authorization": Secret("bearer t")}),
        "token holder",
    ),
    (AccessConfig(method="none"), AuthConfig(method="none"), ""),
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    ("access", "auth", "identity"), SHOWN, ids=[f"{each[0].method}-{each[1].method}" for each in SHOWN]
)
async def test_caller_is_known_by_what_it_shows(
    address: str, access: AccessConfig, auth: AuthConfig, identity: str
) -> None:
    """
    On every transport that listens.
    """
    with anyio.fail_after(10):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            assert identity == await ask(served.endpoints[0].url, auth)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    ("method", "right", "wrong"),
    [
        ("api-key", {"api_key": "right"}, {"api_key": CANARY}),
        ("bearer", {"token": "right"}, {"token": CANARY}),
        ("basic", {"username": "u", "password": "right"}, {"username": "u", "password": CANARY}),
        ("basic", {"username": "u", "password": "right"}, {"username": "v", "password": "right"}),
    ],
)
async def test_caller_without_the_right_proof_is_unauthenticated(
    address: str, method: str, right: dict[str, str], wrong: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """
    With none, with a wrong one; the description is refused too, health is not, and nothing shows the secret.
    """
    caplog.set_level(logging.DEBUG)
    secret = {key: Secret(value) if key != "username" else value for key, value in wrong.items()}
    with anyio.fail_after(15):
        async with serving(Who(), listen=address, options=ServeOptions(auth={"method": method, **right})) as served:
            for auth in (AuthConfig(), AuthConfig(method=method, **secret)):  # type: ignore[arg-type]
                await expect_refusal(served.endpoints[0].url, auth)
    assert CANARY not in caplog.text
    refusals = [each for each in caplog.messages if each.startswith("refused a call of 'Who/am_i' from ")]
    assert 2 == len(refusals)


async def expect_refusal(url: str, auth: AuthConfig) -> None:
    """
    That a call and a question for the description are refused, without a word of the secret, and health is told.
    """
    errors = []
    async with manager_for(url, auth) as manager:
        for attempt in (manager.execute("who", None, str), manager.plugin("who", str, str).info()):
            with pytest.raises(PluginError) as caught:
                await attempt
            errors.append(caught.value)
        health = await manager.health()

    assert [Code.UNAUTHENTICATED] * 2 == [error.code for error in errors]
    assert Status.HEALTHY == health["who"].status
    assert not any(CANARY in f"{error!r} {error} {vars(error)}" for error in errors)


@pytest.mark.fault(26)
async def test_whoever_is_refused_writes_one_short_line_into_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """
    Whatever the name of the method is that was asked for.
    """
    caplog.set_level(logging.INFO)
    access = {"method": "bearer", "callers": {"a": "right"}, "allow": {"a": ["Who/am_i"]}}
    with anyio.fail_after(15):
        async with (
            serving(Who(), listen="http:", options=ServeOptions(auth=access)) as served,
            httpx.AsyncClient(base_url=served.endpoints[0].url, trust_env=False) as client,
        ):
            for name in ("x%0AERROR root: forged%1B%5B31m", "x" * 60_000):
                answer = await client.post(f"/Who/{name}", json=None, headers={"authorization": "Bearer right"})
                assert 403 == answer.status_code
    first, second = [each for each in caplog.messages if each.startswith("refused a call of 'Who/x")]

    assert r"a may not call Who/x\nERROR root: forged\x1b[31m" in first
    assert not {"\n", "\x1b"} & {*first}
    assert len(second) < 1000


@pytest.mark.parametrize("address", ADDRESSES)
async def test_caller_may_call_only_what_it_is_allowed(address: str) -> None:
    """
    Known but not allowed is PERMISSION_DENIED.
    """
    access = AccessConfig(
        method="bearer", callers={"bob": Secret("b"), "eve": Secret("e")}, allow={"bob": ("Who/am_*",)}
    )
    with anyio.fail_after(10):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            url = served.endpoints[0].url
            bob, eve = (AuthConfig(method="bearer", token=Secret(token)) for token in "be")
            assert "bob" == await ask(url, bob)
            for auth, method in ((bob, "not_i"), (eve, "am_i")):
                with pytest.raises(PluginError, match="may not call Who/") as caught:
                    await ask(url, auth, method=method)
                assert Code.PERMISSION_DENIED == caught.value.code


@pytest.mark.parametrize("address", ADDRESSES)
async def test_who_may_call_anything_may_ask_for_the_description(address: str) -> None:
    """
    A host asks when it wants a version. Who may call nothing learns nothing but why.
    """
    access = AccessConfig(
        method="bearer", callers={"bob": Secret("b"), "eve": Secret("e")}, allow={"bob": ("Who/am_*",)}
    )
    with anyio.fail_after(10):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            bob, eve = (AuthConfig(method="bearer", token=Secret(token)) for token in "be")
            async with manager_for(served.endpoints[0].url, bob) as manager:
                assert "Who" == (await manager.info("who")).name
            async with manager_for(served.endpoints[0].url, eve) as manager:
                with pytest.raises(PluginError, match=r"auth\.allow is for eve, and auth\.open_describe is false"):
                    await manager.info("who")


@pytest.mark.parametrize("protocol", ["ttrpc", "jsonl"])
async def test_child_process_asks_for_a_token_too(protocol: str, tmp_path: Path) -> None:
    """
    Headers travel on pipes as on sockets.
    """
    (tmp_path / "token").write_text("t")
    args = (str(Path(__file__).with_name("child.py")), str(tmp_path / "token"))
    more = {"args": args, "protocol": protocol}
    with anyio.fail_after(30):
        for auth, expected in ((AuthConfig(method="bearer", token=Secret("t")), "token holder"), (None, None)):
            async with manager_for(f"exec:{sys.executable}", auth, **more) as manager:
                if expected is not None:
                    assert expected == await manager.execute("who", None, str)
                else:
                    with pytest.raises(PluginError) as caught:
                        await manager.execute("who", None, str)
                    assert Code.UNAUTHENTICATED == caught.value.code


async def test_health_may_ask_for_credentials_and_a_description_may_not() -> None:
    """
    A plugin whose health is closed is healthy while it can be reached.
    """
    access = AccessConfig(method="bearer", token=Secret("t"), open_health=False, open_describe=True)
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:", options=ServeOptions(auth=access)) as served:
            async with manager_for(served.endpoints[0].url) as manager:
                info = await manager.plugin("who", str, str).info()
                health = (await manager.health())["who"]

    assert Status.HEALTHY == health.status
    assert "Who" == info.name


@pytest.mark.parametrize("address", ADDRESSES)
async def test_rotated_token_is_used_on_both_sides(address: str, tmp_path: Path) -> None:
    """
    Both read it from one file; calls go on.
    """
    path = tmp_path / "token"
    path.write_text("one")
    access, auth = {"method": "bearer", "token_file": str(path)}, AuthConfig(method="bearer", token_file=str(path))
    with anyio.fail_after(10):
        async with serving(Who(), listen=address, options=ServeOptions(auth=access)) as served:
            async with manager_for(served.endpoints[0].url, auth) as manager:
                assert "token holder" == await manager.execute("who", None, str)
                (tmp_path / "next").write_text("two")
                os.replace(tmp_path / "next", path)
                assert "token holder" == await manager.execute("who", None, str)


async def test_refused_token_is_renewed_and_the_call_made_once_more() -> None:
    """
    The caller of the host sees nothing of it.
    """
    tokens = iter(["stale", "fresh"])
    auth = AuthConfig(method="bearer", token_source=lambda: next(tokens))
    with anyio.fail_after(10):
        options = ServeOptions(auth={"method": "bearer", "token": "fresh"})
        async with serving(Who(), listen="http:", options=options) as served:
            assert "token holder" == await ask(served.endpoints[0].url, auth)


async def test_credentials_that_are_not_to_be_had_blame_no_instance() -> None:
    """
    The plugin was never asked, so its circuit breaker stays closed.
    """
    auth = AuthConfig(method="bearer", token_file="/nowhere/token")
    with anyio.fail_after(20):
        async with serving(Who(), listen="unix:") as served, manager_for(served.endpoints[0].url, auth) as manager:
            for _ in range(6):
                with pytest.raises(NoCredentials, match="/nowhere/token"):
                    await manager.execute("who", None, str)


async def test_refresh_ends_with_the_time_of_the_call() -> None:
    """
    Whatever the source does.
    """
    auth = AuthConfig(method="bearer", token_source=anyio.sleep_forever)
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:") as served, manager_for(served.endpoints[0].url, auth) as manager:
            with pytest.raises(DeadlineExceeded):
                await manager.plugin("who", str, str).execute("", timeout=0.05)


async def test_a_token_that_takes_longer_than_calls_have_time_arrives_all_the_same() -> None:
    """
    It is fetched once, beside the calls that give up.
    """
    counted, gate = list[int](), anyio.Event()

    async def fetch() -> str:
        counted.append(1)
        await gate.wait()
        return "t"

    auth = AuthConfig(method="bearer", token_source=fetch)
    options = ServeOptions(auth=AccessConfig(method="bearer", token=Secret("t")))
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:", options=options) as served:
            async with manager_for(served.endpoints[0].url, auth) as manager:
                who = manager.plugin("who", str, str)
                for _ in range(3):
                    with pytest.raises(DeadlineExceeded):
                        await who.execute("", timeout=0.05)
                gate.set()
                await who.execute("")

    assert [1] == counted


class Ahead:
    """
    A method that has something done for later calls.
    """

    def __init__(self) -> None:
        self.count = 0
        self.results = list[object]()

    def flow(self, call: Call) -> Generator[Call | Refresh, Any, None]:
        """Has it done beside the call."""
        self.results.append((yield Refresh(self._prepare, is_awaited=False)))
        yield call

    async def _prepare(self) -> None:
        self.count += 1
        await anyio.sleep_forever()


async def test_no_call_waits_for_what_is_done_beside_it() -> None:
    """
    It is done once for all calls, and ends with the manager.
    """
    ahead = Ahead()
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:") as served:
            auth = AuthConfig(method="custom", custom=ahead)
            async with manager_for(served.endpoints[0].url, auth) as manager:
                for _ in range(3):
                    await manager.plugin("who", str, str).execute("")

    assert (1, [None] * 3) == (ahead.count, ahead.results)


class Custom:
    """
    A method of the user's own, on both sides.
    """

    def flow(self, call: Call) -> Generator[Call | Refresh, Any, None]:
        """Shows a word that it asks for."""
        word = yield Refresh(self._ask)
        yield replace(call, headers={**call.headers, "x-word": word})

    def verify(self, call: Call, peer: str) -> str:
        """Knows the word."""
        if call.headers.get("x-word") != "sesame":
            raise PluginError("say the word", code=Code.UNAUTHENTICATED)
        return "friend"

    async def _ask(self) -> str:
        return "sesame"


async def test_object_of_the_program_is_a_method() -> None:
    """
    Custom, in code.
    """
    options = ServeOptions(auth=AccessConfig(method="custom", custom=Custom()))
    with anyio.fail_after(10):
        async with serving(Who(), listen="http:", options=options) as served:
            assert "friend" == await ask(served.endpoints[0].url, AuthConfig(method="custom", custom=Custom()))


class Bad:
    """
    Methods that misbehave.
    """

    def __init__(self, flow: Any) -> None:
        self.flow = flow


def yields_text(call: Call) -> Any:
    """No call."""
    yield "text"


def yields_nothing(call: Call) -> Any:
    """No call either."""
    yield from ()


def raises(call: Call) -> Any:
    """Something of its own."""
    raise RuntimeError("oops")
    yield


def smuggles(call: Call) -> Any:
    """A header in a header."""
    yield replace(call, headers={"x-a": f"1\r\nx-b: {CANARY}"})


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (yields_text, "yielded a str"),
        (yields_nothing, "ended without a reply"),
        (raises, "RuntimeError: oops"),
        (lambda call: call, "not a generator"),
        (smuggles, "the header 'x-a' cannot be sent"),
    ],
)
async def test_method_that_misbehaves_is_named(flow: Any, message: str) -> None:
    """
    With its distribution; the plugin is not blamed.
    """
    auth = AuthConfig(method="custom", custom=Bad(flow))
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:") as served:
            with pytest.raises(RemoraError, match=message) as caught:
                await ask(served.endpoints[0].url, auth)

    assert CANARY not in str(caught.value)
    assert flow is smuggles or "remora-auth" in str(caught.value)


class Deaf:
    """
    A verifier that fails.
    """

    def verify(self, call: Call, peer: str) -> str:
        """Shows too much."""
        raise RuntimeError(CANARY)


async def test_verifier_that_fails_lets_nobody_in(caplog: pytest.LogCaptureFixture) -> None:
    """
    And its words go nowhere.
    """
    options = ServeOptions(auth=AccessConfig(method="custom", custom=Deaf()))
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:", options=options) as served:
            with pytest.raises(PluginError, match="cannot be verified") as caught:
                await ask(served.endpoints[0].url)

    assert Code.INTERNAL == caught.value.code
    assert CANARY not in caplog.text


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({"method": "bearer"}, "auth: no caller is known"),
        ({"method": "bearer", "username": "u"}, "auth: username: the auth method 'bearer' does not use it"),
        ({"method": "basic", "password": "p"}, "auth: username: missing"),
        ({"method": "bearer", "callers": {"a": ""}}, "credential of 'a' is empty"),
        ({"method": "bearer", "token_file": "/nowhere"}, "/nowhere: No such file"),
        ({"method": "custom"}, "in code, an object with a method `verify`"),
        ({"token": "t"}, r"auth\.method: missing"),
        ({"method": "mtls", "cert_file": "c", "key_file": "k", "ca_file": "a"}, "needs an address that encrypts"),
        ({"method": "deaf"}, "cannot verify callers"),
        ("bearer:token=t", "no place for a secret"),
    ],
)
async def test_access_that_makes_no_sense_serves_nothing(auth: Any, message: str) -> None:
    """
    Said before anybody can call.
    """

    class Extension:
        @staticmethod
        @hookimpl
        def remora_register_auth_methods() -> list[AuthSpec[Any]]:
            return [AuthSpec("deaf", AuthConfig, lambda _: None)]

    options = ServeOptions(auth=auth)
    with pytest.raises(ConfigError, match=message):
        async with serving(Who(), listen="unix:", options=options, extensions=[Extension]):
            pass


@pytest.mark.parametrize(
    ("auth", "endpoint", "message"),
    [
        (AuthConfig(token=Secret("t")), "http://h", r"plugins\.who\.auth\.method: missing"),
        (AuthConfig(method="basic"), "http://h", r"plugins\.who\.auth: username"),
        (
            AuthConfig(method="mtls", cert_file="c", key_file="k"),
            "http://h",
            r"plugins\.who\.auth: the auth method 'mtls'",
        ),
        (AuthConfig(method="saml"), "http://h", r"plugins\.who\.auth\.method: auth method \"saml\""),
        (AuthConfig(method="custom", custom=7), "http://h", r"plugins\.who\.auth\.custom: expected, in code"),
        (
            AuthConfig(method="bearer", token_source=7),
            "http://h",
            r"plugins\.who\.auth\.token_source: expected, in code",
        ),
    ],
)
async def test_table_that_makes_no_sense_is_found_before_anything_starts(
    auth: AuthConfig, endpoint: str, message: str
) -> None:
    """
    With the path of the table.
    """
    with pytest.raises(ConfigError, match=message):
        async with manager_for(endpoint, auth):
            pass


async def test_credentials_on_an_open_network_are_worth_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    """
    On this machine they are not.
    """
    auth = AuthConfig(method="bearer", token=Secret("t"))
    async with manager_for("http://192.0.2.1:9", auth), manager_for("http://127.0.0.1:9", auth):
        pass

    lines = [record.getMessage() for record in caplog.records if "without encryption" in record.getMessage()]
    assert ["plugin 'who': credentials are sent to 192.0.2.1 without encryption"] == lines


async def test_callers_in_a_file_are_read_again_and_kept_while_it_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A half-written file locks nobody out.
    """
    path = tmp_path / "callers"
    path.write_text("# who may call\nbob: b1\nbob: b2\n")
    bob, eve = (AuthConfig(method="api-key", api_key=Secret(key)) for key in ("b2", "e"))
    with anyio.fail_after(10):
        options = ServeOptions(auth=f"api-key:callers_file={path}")
        async with serving(Who(), listen="unix:", options=options) as served:
            url = served.endpoints[0].url
            assert "bob" == await ask(url, bob)
            path.write_text("bob")
            assert "bob" == await ask(url, bob)
            path.write_text("eve:e\n")
            assert "eve" == await ask(url, eve)
            with pytest.raises(PluginError):
                await ask(url, bob)

    assert "line 1 is not of the form NAME:SECRET" in caplog.text


async def test_version_is_asked_for_with_credentials() -> None:
    """
    A plugin whose description is closed can still be held to a version.
    """
    Versioned = service("Who", version="1.2.3")(type("Versioned", (Who,), {}))
    auth = AuthConfig(method="bearer", token=Secret("t"))
    options = ServeOptions(auth={"method": "bearer", "token": "t"})
    with anyio.fail_after(10):
        async with serving(Versioned(), listen="unix:", options=options) as served:
            async with manager_for(served.endpoints[0].url, auth, version=">=1,<2") as manager:
                assert "token holder" == await manager.execute("who", None, str)
