"""
`remora security`: lists that are written, and programs that are compared with them.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from remora.security import parse_allow_list
from tests.contrib.cli.conftest import Run

CONFIG = """
[security]
policy = "strict"
allow_list = "allow.toml"
[plugins.one]
endpoint = "exec:./one"
protocol = "oneshot"
[plugins.two]
endpoint = "exec:./two"
enabled = false
[plugins.web]
endpoint = "http://127.0.0.1:1"
"""


@pytest.fixture
def program(place: Path) -> Path:
    """
    The program of the configuration, which lies beside it.
    """
    place.chmod(0o700)
    (place / "remora.toml").write_text(CONFIG)
    path = place / "one"
    path.write_text("#!/bin/sh\necho 1\n")
    path.chmod(0o755)
    return path


def digest(path: Path) -> str:
    """
    The hash of a file.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_what_was_pinned_verifies_and_runs(remora: Run, place: Path, program: Path) -> None:
    """
    And what was changed afterwards does neither.
    """
    before = remora("security", "verify", "remora.toml")
    pinned = remora("security", "pin", "remora.toml")
    after = remora("security", "verify", "remora.toml")
    call = remora("call", "remora.toml", "one", "m", "null")
    program.write_text("#!/bin/sh\necho 2\n")
    changed = remora("security", "verify", "remora.toml")
    refused = remora("call", "remora.toml", "one", "m", "null", "--json")

    assert (before.code, before.out) == (3, f"one  refused  {program}  (there is no allow-list {place}/allow.toml)\n")
    assert (pinned.code, pinned.out.splitlines()[-1]) == (0, "written to allow.toml")
    assert (after.code, after.out) == (0, f"one  allowed  {program}  (pinned)\n")
    assert (call.code, call.out.strip()) == (0, "1")
    assert changed.code == 3
    assert f"its SHA-256 is {digest(program)}" in changed.out
    assert refused.code == 3
    assert json.loads(refused.out)["error"]["code"] == "PERMISSION_DENIED"


def test_pinning_again_keeps_what_others_wrote(remora: Run, place: Path, program: Path) -> None:
    """
    Other plugins, and what an entry says beside the hash; old hashes when asked.
    """
    old = "a" * 64
    text = f'version = 1\n[plugins.other]\nsha256 = "{old}"\n[plugins.one]\nsha256 = "{old}"\nsize = 99\n'
    (place / "allow.toml").write_text(text)
    remora("security", "pin", "remora.toml", "--keep")
    kept = parse_allow_list((place / "allow.toml").read_text()).plugins
    remora("security", "pin", "remora.toml")
    replaced = parse_allow_list((place / "allow.toml").read_text()).plugins

    assert ((old, digest(program)), 99) == (kept["one"].sha256, kept["one"].size)
    assert (digest(program),) == replaced["one"].sha256
    assert (old,) == replaced["other"].sha256


def test_pins_are_written_where_a_link_leads_to(remora: Run, place: Path, program: Path) -> None:
    """
    The link stays a link, so that all who share the list see it.
    """
    (place / "shared").mkdir()
    (place / "allow.toml").symlink_to("shared/list.toml")
    remora("security", "pin", "remora.toml")

    assert (place / "allow.toml").is_symlink()
    assert {"one"} == parse_allow_list((place / "shared" / "list.toml").read_text()).plugins.keys()


def test_pins_are_written_as_json_where_the_ending_says_so(remora: Run, place: Path, program: Path) -> None:
    """
    Into the file that is asked for; the result is JSON when that is asked for.
    """
    result = remora("security", "pin", "remora.toml", "--output", "list.json", "--json")

    assert {"allow_list": "list.json", "pinned": [{"plugin": "one", "sha256": digest(program)}]} == json.loads(
        result.out
    )
    assert "one" in parse_allow_list((place / "list.json").read_text(), is_json=True).plugins
    assert not (place / "allow.toml").exists()


@pytest.mark.parametrize(
    ("arrange", "complaint"),
    [
        (lambda place: (place / "one").unlink(), "remora: plugins.one: there is no program"),
        (lambda place: (place / "allow.toml").write_text("x"), "remora: allow.toml: "),
        (
            lambda place: (place / "remora.toml").write_text('[plugins.one]\nendpoint = "exec:./one"'),
            "remora: no allow-list to write: pass --output FILE, or set allow_list in [security]",
        ),
    ],
)
def test_what_cannot_be_pinned_is_one_line(
    arrange: object, complaint: str, remora: Run, place: Path, program: Path
) -> None:
    """
    With the status 3, and nothing written.
    """
    arrange(place)  # type: ignore[operator]
    before = sorted(each.name for each in place.iterdir())
    result = remora("security", "pin", "remora.toml")

    assert (result.code, result.out) == (3, "")
    assert result.complaint.startswith(complaint)
    assert before == sorted(each.name for each in place.iterdir() if each.name != "__pycache__")


def test_check_says_what_is_in_force(remora: Run, program: Path) -> None:
    """
    And what is not.
    """
    remora("security", "pin", "remora.toml")
    result = remora("check", "remora.toml")
    report = json.loads(remora("check", "remora.toml", "--json").out)

    assert (
        "  hash: pinned; limits: core 0 (set before the start); no new privileges: in force; sandbox: none; "
        "descendants: all end with it"
    ) in result.out.splitlines()
    (described,) = report["programs"]
    assert ("one", "allowed") == (described["plugin"], described["inspection"]["outcome"])
    program.chmod(0o777)
    assert f"  refused: {program} can be written by everybody; hash: pinned" in remora("check", "remora.toml").out


def test_check_says_which_limits_and_sandbox_would_be_in_force(remora: Run, place: Path, program: Path) -> None:
    """
    And what is asked for and not there; a measure that is switched off is named as such.
    """
    tools, empty = place / "tools", place / "empty"
    tools.mkdir()
    empty.mkdir()
    (tools / "bwrap").write_text("#!/bin/sh\n")
    (tools / "bwrap").chmod(0o755)
    rest = '[security.limits]\nopen_files = 64\n[plugins.one]\nendpoint = "exec:./one"\n'
    (place / "in.toml").write_text(f'[security]\nsandbox = "bwrap"\n{rest}')
    (place / "out.toml").write_text(f"[security]\nno_new_privileges = false\n{rest}")
    there, absent = (remora("check", "in.toml", PATH=str(path)).out for path in (tools, empty))
    plain = remora("check", "out.toml").out

    sandboxed = (
        "hash: not pinned; limits: open_files 64, core 0 (set before the start); "
        "no new privileges: in force (by bwrap); sandbox: bwrap"
    )
    kept = "descendants: all end with it"
    assert f"  {sandboxed}; {kept}" in there.splitlines()
    assert f"  {sandboxed} is not installed: the program does not start; {kept}" in absent.splitlines()
    assert (
        "  hash: not pinned; limits: open_files 64, core 0 (set before the start); "
        f"no new privileges: not in force; sandbox: none; {kept}"
    ) in plain.splitlines()


def test_pinning_an_interpreter_says_that_its_script_is_not_pinned(remora: Run, place: Path) -> None:
    """
    Who reads "pinned" might think so.
    """
    (place / "plugin.sh").write_text("exit 1\n")
    (place / "in.toml").write_text('[plugins.one]\nendpoint = "exec:sh"\nargs = ["plugin.sh"]\n')
    result = remora("security", "pin", "in.toml", "--output", "list.toml")

    assert f"\n  but it runs {place}/plugin.sh, which is not hashed\nwritten to list.toml\n" in result.out
