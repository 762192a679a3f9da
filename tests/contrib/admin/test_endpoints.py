"""
What a running host says about itself, over real HTTP.
"""

from __future__ import annotations

import re
from base64 import b64encode
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256

import anyio
import httpx
import pytest

from remora import ConfigError, Manager, PluginConfig, PluginError, Secret
from remora_admin import serving_admin
from remora_admin._problems import problems_of
from remora_admin._recent import Counts, Lately, Recent
from tests.contrib.admin.conftest import TOKEN, Moody
from tests.contrib.comparisons import counted
from tests.mumbling import MUMBLING

pytestmark = pytest.mark.anyio


async def test_status_shows_plugins_instances_and_the_last_error(open_host):
    """
    One answer with all that the page shows.
    """
    async with open_host() as (manager, client):
        moody = manager.client("moody", Moody)
        await moody.ask("hello")
        with pytest.raises(PluginError):
            await moody.ask("fail")
        status = (await client.get("/status")).json()

    plugin, away = status["plugins"]
    assert (status["requests"], status["read_only"], status["status"]) == (2, True, "degraded")
    assert (plugin["name"], plugin["requests"], plugin["success_rate"]) == ("moody", 2, 0.5)
    assert (plugin["errors"], plugin["labels"]) == ({"NOT_FOUND": 1}, {"team": "<b>shop</b>"})
    assert (plugin["last_error"]["code"], plugin["last_error"]["message"]) == ("NOT_FOUND", "not today")
    (instance,) = plugin["instances"]
    assert (instance["name"], instance["state"], instance["breaker"]) == ("memory:moody", "ready", "closed")
    assert instance["requests"] == 2
    assert away["success_rate"] is None
    assert away["latency"] == {"p50": None, "p95": None, "p99": None}


async def test_status_is_there_whatever_plugins_say():
    """
    Half of a surrogate pair, which JSON may carry from a plugin, is carried on.
    """
    with anyio.fail_after(20):
        async with (
            Manager({"plugins": {"mumbling": MUMBLING}}) as manager,
            serving_admin(manager, port=0) as url,
            httpx.AsyncClient(base_url=url, trust_env=False) as client,
        ):
            with pytest.raises(PluginError):
                await manager.plugin("mumbling", str, str).execute("hello")
            status = (await client.get("/status")).json()

    assert ascii("half of \ud83d") == ascii(status["plugins"][0]["last_error"]["message"])


async def test_metrics_are_there_for_prometheus(open_host):
    """
    The same numbers, in both formats.
    """
    async with open_host() as (manager, client):
        await manager.client("moody", Moody).ask("hello")
        text = await client.get("/metrics")
        openmetrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})

    assert re.search(r'remora_requests_total\{[^}]*plugin="moody"[^}]*\} 1\.0', text.text)
    assert text.headers["content-type"].startswith("text/plain")
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text")
    assert openmetrics.text.endswith("# EOF\n")


async def test_health_is_of_the_host_and_readiness_of_its_plugins(open_host):
    """
    Nobody restarts a host for what its plugins do.
    """
    async with open_host() as (manager, client):
        await manager.client("moody", Moody).ask("hello")
        alive, ready = await client.get("/healthz"), await client.get("/readyz")
        await manager.unregister("away")
        later = await client.get("/readyz")
        await manager.register(PluginConfig(name="lazy", endpoint="memory:lazy", start="lazy"))
        waiting, status = await client.get("/readyz"), (await client.get("/status")).json()

    assert (alive.status_code, alive.text) == (200, "ok\n")
    assert (ready.status_code, ready.text) == (503, "not ready: away\n")
    assert (later.status_code, later.text) == (200, "ok\n")
    assert (waiting.status_code, waiting.text, status["status"]) == (200, "ok\n", "healthy")
    assert [("moody", "healthy"), ("lazy", "unknown")] == [(each["name"], each["status"]) for each in status["plugins"]]


async def test_page_may_run_only_what_stands_in_it(open_host):
    """
    One file, nothing from elsewhere, and a policy that says so to the browser.
    """
    async with open_host() as (_, client):
        answer = await client.get("/")

    script = re.search(r"(?s)<script>(.*)</script>", answer.text).group(1)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = answer.headers["content-security-policy"]
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; connect-src 'self'; ")
    assert not re.search(r'(src|href)="(https?:)?//', answer.text)


async def test_status_names_what_needs_attention(open_host):
    """
    The worst first: what takes no calls, then what is being drained; and a host of drained plugins is not ready.
    """
    async with open_host() as (manager, client):
        await manager.client("moody", Moody).ask("hello")
        await manager.drain("moody", 1)
        status = (await client.get("/status")).json()
        ready = await client.get("/readyz")

    found = [(each["severity"], each["plugin"], each["instance"], each["what"]) for each in status["problems"]]
    nowhere, draining = found
    assert nowhere[:3] == ("bad", "away", "memory:nowhere")
    assert re.match("(waiting|starting): nothing listens at memory:nowhere", nowhere[3])
    assert draining == ("fair", "moody", "", "is being drained: 0 calls under way, new ones are refused")
    assert [each["draining"] for each in status["plugins"]] == [True, False]
    assert ready.text == "not ready: moody, away\n"


async def test_an_instance_that_is_restarted_is_not_explained_by_the_health_it_had(open_host):
    async with open_host() as (manager, client):
        await manager.client("moody", Moody).ask("hello")
        await client.get("/status")
        plugin = manager.observability().plugin_metrics["moody"]
    instances = {name: replace(each, state="starting") for name, each in plugin.instances.items()}

    (problem,) = problems_of({"moody": replace(plugin, instances=instances)}, {})
    assert (problem["severity"], problem["what"]) == ("fair", "starting")


async def test_status_says_what_happened_lately(open_host):
    """
    In the last minute, also to whoever asks for the first time.
    """
    async with open_host() as (manager, client):
        await client.get("/healthz")  # by now somebody looks
        moody = manager.client("moody", Moody)
        for words in ["hello", "break", "break", "break"]:
            with suppress(PluginError):
                await moody.ask(words)
        status = (await client.get("/status")).json()
        plugin = status["plugins"][0]

    lately = plugin["recent"]
    assert (lately["requests"], lately["success_rate"], plugin["instances"][0]["recent"]["success_rate"]) == (
        4,
        0.25,
        0.25,
    )
    assert lately["rate"] == 4 / lately["seconds"]
    problem = next(each for each in status["problems"] if each["plugin"] == "moody")
    assert problem["severity"] == "bad"
    assert problem["what"].endswith("75% of its attempts fail")
    assert problem["last_error"]["message"] == "Moody/ask failed with KeyError"


def test_counts_of_the_last_minute_are_compared_with_the_oldest_look_of_it():
    """
    A plugin that is new, or began anew, has done all of it lately.
    """
    recent = Recent()
    looks = [recent.look(float(now), {"p": Counts(now * 10, now)}) for now in range(100)]
    begun_anew = recent.look(100.0, {"p": Counts(3), "q": Counts(2)})

    assert looks[0] == {}
    assert looks[1]["p"] == Lately(1.0, Counts(10, 1))
    assert looks[99]["p"] == Lately(60.0, Counts(600, 60))
    assert (begun_anew["p"].counts.total, begun_anew["q"].counts.total) == (3, 2)


def test_looks_from_before_the_clock_was_set_back_do_not_count():
    """
    They would be compared with only when it shows the same time again.
    """
    recent = Recent()
    looks = [recent.look(now, {"p": Counts(total)}) for total, now in enumerate([5000.0, 5010.0, 1000.0, 1005.0])]

    assert [1, None, 1] == [look["p"].counts.total if look else None for look in looks[1:]]


async def test_without_a_token_nobody_may_do_anything(open_host):
    """
    A host is read-only unless it has an admin token.
    """
    async with open_host() as (_, client):
        answers = [await client.post(path) for path in ("/plugins/moody/restart", "/plugins/moody/drain")]

    assert [each.status_code for each in answers] == [403, 403]
    assert answers[0].json() == {"message": "this host is read-only: start it with --admin-token-file to allow this"}


@pytest.mark.parametrize("header", [None, "Bearer wrong", f"Basic {TOKEN}", "Bearer", TOKEN])
async def test_a_wrong_token_does_nothing(open_host, header):
    """
    Whatever is wrong about it.
    """
    async with open_host(admin_token=TOKEN) as (_, client):
        headers = {} if header is None else {"authorization": header}
        answer = await client.post("/plugins/moody/restart", headers=headers)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize("shown", [TOKEN, "x", f"{TOKEN[:-1]}x", f"{TOKEN} and more", "x" * 5000, "é"])
async def test_the_token_is_compared_in_constant_time(open_host, shown):
    """
    Nothing tells how much of it is right.
    """
    async with open_host(admin_token=TOKEN) as (_, client):
        with counted() as comparisons:
            answer = await client.post(
                "/plugins/moody/restart", headers=[(b"authorization", f"Bearer {shown}".encode())]
            )

    assert [1] == comparisons
    assert (answer.status_code == 200) is (shown == TOKEN)


@pytest.mark.parametrize("token", ["tökén", "two\nlines", " padded"])
async def test_a_token_that_nobody_could_send_is_refused(open_host, token):
    """
    And is not shown.
    """
    with pytest.raises(ConfigError, match="the admin token has a character that no header can carry") as caught:
        async with open_host(admin_token=token):
            pass

    assert token not in str(caught.value)


async def test_an_empty_token_is_refused(open_host):
    """
    Else `Bearer` and nothing after it would be the right one.
    """
    with pytest.raises(ConfigError, match="the admin token is empty"):
        async with open_host(admin_token=Secret()):
            pass


async def test_the_token_lets_an_operator_restart_drain_and_reload(open_host):
    """
    And what goes wrong is said in one line.
    """
    reloads = []

    async def reload():
        reloads.append("now")

    headers = {"authorization": f"Bearer {TOKEN}"}
    async with open_host(admin_token=TOKEN, reload=reload) as (manager, client):
        await manager.client("moody", Moody).ask("hello")
        codes = []
        for path in ("/reload", "/plugins/moody/drain", "/plugins/moody/restart", "/plugins/nobody/restart"):
            codes.append((await client.post(path, headers=headers)).status_code)
        back = await manager.client("moody", Moody).ask("hello")

    assert (codes, reloads, back) == ([200, 200, 200, 404], ["now"], "hello")


async def test_a_host_that_cannot_reload_says_so_to_operators_only(open_host):
    """
    Whoever has no token is asked for it first.
    """
    async with open_host() as (_, client):
        closed = await client.post("/reload")
    async with open_host(admin_token=TOKEN) as (_, client):
        stranger = await client.post("/reload")
        operator = await client.post("/reload", headers={"authorization": f"Bearer {TOKEN}"})

    assert [403, 401, 501] == [each.status_code for each in (closed, stranger, operator)]


async def test_a_page_of_somebody_else_gets_no_answer(open_host):
    """
    A name that leads to this machine, but is not its own, is how pages reach what is not for them.
    """
    async with open_host() as (_, client):
        answer = await client.get("/status", headers={"host": "evil.example"})

    assert answer.status_code == 400


@pytest.mark.parametrize("host", ["127.1", "127.0.0.2", "LOCALHOST", "::ffff:127.0.0.1", "0:0:0:0:0:0:0:1"])
async def test_no_spelling_of_this_machine_lets_pages_of_others_in(host):
    """
    What counts is where it listens, not how that was written.
    """
    with anyio.fail_after(10):
        async with Manager({"plugins": {}}) as manager, serving_admin(manager, host=host, port=0) as url:
            async with httpx.AsyncClient(base_url=url, trust_env=False) as client:
                theirs = await client.get("/status", headers={"host": "evil.example"})
                ours = [await client.get("/status"), await client.get("/status", headers={"host": "localhost"})]

    assert theirs.status_code == 400
    assert [200, 200] == [each.status_code for each in ours]
