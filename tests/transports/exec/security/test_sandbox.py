"""
What a program sees within bubblewrap, and which options a plugin may have of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.from_thread
import pytest

from remora import Manager
from remora.config import LimitsConfig, SecurityConfig
from remora.errors import ConfigError
from remora.types import Call, Endpoint
from remora_exec.plugin import ExecOptions, build
from tests.transports.exec.security.pinned import answer, pins

pytestmark = pytest.mark.anyio


@pytest.mark.usefixtures("bubblewrap")
@pytest.mark.parametrize("is_pinned", [True, False])
async def test_a_sandboxed_program_sees_itself_its_directory_and_the_system(place, is_pinned):
    """
    No file of the host beside these, no network, no process, no privilege, no further descriptor.
    """
    (place / "work").mkdir()
    (place / "secret").write_text("secret")
    path = place / "program"
    path.write_text(
        "#!/bin/sh\n"
        'cat > /dev/null; touch kept; [ -e "$0" ] && here=yes\n'
        f"[ -e {place}/secret ] && secret=yes; [ -e /etc/passwd ] && passwd=yes; echo x > {place}/new 2>/dev/null\n"
        "nets=$(grep -c : /proc/net/dev); ls /proc/$$/fd > descriptors\n"
        "privs=$(grep NoNewPrivs /proc/self/status | tr -dc 0-9)\n"
        'printf \'["%s","%s","%s","%s","%s","%s"]\' '
        '"$here" "$secret" "$passwd" "$nets" "$privs" "$(ulimit -n)"\n'
    )
    path.chmod(0o755)
    allow_list = pins(place / "list.toml", path) if is_pinned else ""
    security = SecurityConfig(sandbox="bwrap", allow_list=allow_list, limits=LimitsConfig(open_files=50))
    here, secret, passwd, nets, privs, files = await answer(path, security, work_dir=str(place / "work"))

    assert ("yes", "", "") == (here, secret, passwd)
    assert ("1", "1", "50") == (nets, privs, files)
    descriptors = (place / "work" / "descriptors").read_text().split()
    assert {0, 1, 2} == {int(each) for each in descriptors if int(each) < 10}  # a shell keeps its own further up
    assert (place / "work" / "kept").exists()
    assert not (place / "new").exists()


@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_has_no_rights_of_root(place):
    """
    Not where root is the host either, whose files the settings of the kernel are.
    """
    path = place / "program"
    path.write_text(
        "#!/bin/sh\n"
        "cat > /dev/null; caps=$(grep -E '^Cap(Prm|Eff|Bnd)' /proc/self/status | cut -f 2 | tr -d '\\n0')\n"
        "(: >> /proc/sys/kernel/core_pattern) 2>/dev/null && kernel=writable\n"
        'printf \'["%s","%s"]\' "$caps" "$kernel"\n'
    )
    path.chmod(0o755)

    assert ["", ""] == await answer(path, SecurityConfig(sandbox="bwrap"))


@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_sees_certificates_and_no_keys(place):
    """
    Debian keeps the private keys of servers beside the certificates of authorities, for root and a group.
    """
    path = place / "program"
    path.write_text("#!/bin/sh\ncat > /dev/null; printf '\"%s\"' \"$(ls /etc/ssl | tr '\\n' ' ')\"\n")
    path.chmod(0o755)
    seen = await answer(path, SecurityConfig(sandbox="bwrap"))

    assert set() == set(seen.split()) - {"certs", "cert.pem", "ca-bundle.pem", "openssl.cnf"}


@pytest.mark.fault(14)
@pytest.mark.usefixtures("bubblewrap")
async def test_a_sandboxed_program_ends_with_its_channel(place, until):
    """
    With all that it has started, also in a session of its own.
    """
    path = place / "program"
    body = f'setsid sleep {SECONDS} &\nread -r line; echo \'{{"id":1,"result":1}}\'; sleep {SECONDS}\n'
    path.write_text(f"#!/bin/sh\n{body}")
    path.chmod(0o755)
    options = ExecOptions(
        name="p", protocol="jsonl", stop_grace=0.1, term_grace=0.1, security=SecurityConfig(sandbox="bwrap")
    )
    with anyio.fail_after(20):
        async with build(options).open(Endpoint(f"exec:{path}")) as channel:
            await channel.call(Call(payload=b"null"))
            await until(lambda: len(_sleepers()) == 2)

    await until(lambda: _sleepers() == [])


SECONDS = f"987{os.getpid()}"
"""Marks the processes of this run: others may test the same beside it."""


def _sleepers() -> list[str]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes() == f"sleep\0{SECONDS}\0".encode():
                found.append(entry.parent.name)
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


async def test_a_sandbox_that_is_not_installed_is_one_clear_error(place, program, monkeypatch):
    """
    The program does not run without it.
    """
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(ConfigError, match="needs the program bwrap: install bubblewrap"):
        await answer(program(), SecurityConfig(sandbox="bwrap"))


async def test_a_plugin_may_differ_from_the_table():
    """
    In its limits and its sandbox.
    """
    options = {"sandbox": "none", "limits": {"open_files": 40}}
    config = {"security": {"sandbox": "bwrap"}, "plugins": {"p": {"endpoint": "exec:sh", "options": options}}}
    (found,) = Manager(config).inspect()

    assert found.inspection is not None
    assert found.inspection.measures["sandbox"] == "none"
    assert "open_files 40" in found.inspection.measures["limits"]


async def test_what_is_put_in_the_wrong_table_is_named():
    """
    Options of a plugin are not the place for what holds for all.
    """
    plugin = {"endpoint": "exec:sh", "options": {"security": {"policy": "audit-only"}}}
    with pytest.raises(ConfigError, match=r"plugins.p.options.security: belongs in a table of its own, \[security\]"):
        Manager({"plugins": {"p": plugin}})
