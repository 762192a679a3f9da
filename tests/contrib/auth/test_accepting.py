"""
The `auth` table of a served plugin: who is allowed to call what must be somebody who can call.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import anyio
import pytest

from remora import AuthConfig, PluginError, Secret, ServeOptions, serving
from remora.errors import ConfigError
from tests.contrib.auth.who import Who, ask

pytestmark = pytest.mark.anyio

ALL = ["Who/*"]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            {"method": "api-key", "callers": {"billing": "s"}, "allow": {"biling": ALL, "billing": ALL}},
            "auth: allow: no caller has the name 'biling' (did you mean 'billing'?)",
        ),
        (
            {"method": "bearer", "callers": {"a": "s", "b": "t"}, "allow": {"*": ALL}},
            "auth: allow: no caller has the name '*' (there are: 'a', 'b')",
        ),
        (
            {"method": "bearer", "token_file": "FILE", "allow": {"token": ALL}},
            "auth: allow: no caller has the name 'token' (there are: 'token holder')",
        ),
        (
            {"method": "basic", "username": "ada", "password": "s", "allow": {"x": ALL, "Ada": ALL}},
            "auth: allow: no caller has the name 'x' (there are: 'ada'); "
            "allow: no caller has the name 'Ada' (did you mean 'ada'?)",
        ),
        (
            {"method": "none", "allow": {"a": ALL}},
            "auth.allow: the method 'none' lets everybody call, and knows nobody's name",
        ),
    ],
    ids=["misspelt", "star", "holder of a file", "several", "nobody has a name"],
)
async def test_what_is_allowed_to_nobody_is_a_mistake(tmp_path: Path, table: dict[str, Any], words: str) -> None:
    """
    The name was misspelt, or its credential forgotten: whoever was meant could call nothing.
    """
    (tmp_path / "token").write_text("t")
    filled = {key: str(tmp_path / "token") if value == "FILE" else value for key, value in table.items()}
    with pytest.raises(ConfigError) as caught:
        async with serving(Who(), listen="unix:", options=ServeOptions(auth=filled)):
            pass

    assert words == caught.value.message


async def test_a_name_that_a_file_may_bring_yet_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """
    One, and once the file has brought it, its caller can call.
    """
    path = tmp_path / "callers"
    path.write_text("billing: b\n")
    table = {"method": "bearer", "callers_file": str(path), "allow": {"billing": ALL, "biling": ALL}}
    with anyio.fail_after(10):
        async with serving(Who(), listen="unix:", options=ServeOptions(auth=table)) as served:
            path.write_text("billing: b\nbiling: other\n")
            identity = await ask(served.endpoints[0].url, AuthConfig(method="bearer", token=Secret("other")))

    warned = [each for each in caplog.messages if "allow" in each]
    words = "auth: allow: no caller has the name 'biling' (did you mean 'billing'?)"
    assert (identity, warned) == ("biling", [f"{words}; it counts once {path} has that name"])


async def test_a_file_that_may_be_used_only_later_counts_from_then_on(tmp_path: Path) -> None:
    """
    Who takes a caller away may put the new file in place first, and set right who may write it in a second step.
    """
    path, new = tmp_path / "callers", tmp_path / "new"
    path.write_text("billing: b\nfired: f\n")
    new.write_text("billing: b\n")
    new.chmod(0o666)
    answers = list[str]()
    with anyio.fail_after(10):
        async with serving(
            Who(), listen="unix:", options=ServeOptions(auth={"method": "bearer", "callers_file": str(path)})
        ) as served:
            fired = AuthConfig(method="bearer", token=Secret("f"))
            os.replace(new, path)
            answers.append(await ask(served.endpoints[0].url, fired))
            path.chmod(0o600)
            with pytest.raises(PluginError, match="the token is not accepted"):
                await ask(served.endpoints[0].url, fired)

    assert ["fired"] == answers
