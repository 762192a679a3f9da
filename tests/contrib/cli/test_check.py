"""
`remora check`: configurations that hold, and all that is wrong with the others.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.contrib.cli.conftest import Run, environment
from tests.transports.tls import Authority

GOOD = """
    [plugins.one]
    endpoint = "http://127.0.0.1:1"
    [plugins.two]
    endpoint = "exec:./two"
    enabled = false
"""

BAD = """
    [plugins.one]
    endpoint = "carrier:x"
    [plugins.two]
    endpoint = "http://127.0.0.1:1"
    options = { nosuch = 1 }
"""


def test_good_configuration_is_listed(remora: Run, place: Path) -> None:
    """
    One line for each plugin, and nothing is started.
    """
    (place / "good.toml").write_text(GOOD)
    result = remora("check", "good.toml")

    assert (result.code, result.err) == (0, "")
    assert result.out == "one  http  http://127.0.0.1:1\ntwo  exec  exec:./two  (disabled)\nok\n"


def test_a_program_that_is_not_there_is_named(remora: Run, place: Path) -> None:
    """
    It may well be where the configuration is used, so that is no error.
    """
    (place / "good.toml").write_text(GOOD.replace("enabled = false", ""))
    result = remora("check", "good.toml")

    assert (result.code, result.err) == (0, "")
    assert "\n  there is no program " in result.out
    assert result.out.endswith("\nok, but 1 of 1 programs cannot be started here\n")


def test_a_script_that_others_may_write_to_is_a_warning(remora: Run, place: Path) -> None:
    """
    The interpreter may be started, and decides nothing; as a program of its own the script would be refused.
    """
    script = place / "plugin.py"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o666)
    (place / "good.toml").write_text('[plugins.one]\nendpoint = "exec:sh"\nargs = ["plugin.py"]\n')
    result = remora("check", "good.toml")
    report = json.loads(remora("check", "good.toml", "--json").out)

    warning = f"runs {script}, but {script} can be written by everybody: whoever does decides what runs"
    assert result.code == 0
    assert f"{warning}; take the right to write away (chmod go-w)\nok, with warnings\n" in result.out
    (line,) = (line for line in result.out.splitlines() if line.startswith("  warning: "))
    assert [line.removeprefix("  warning: ")] == report["programs"][0]["inspection"]["warnings"]
    assert any(each.startswith("plugins.one: ") and warning in each for each in report["warnings"])
    script.chmod(0o644)
    fine = remora("check", "good.toml").out
    assert fine.endswith(f"; script: {script}, which is not hashed\nok\n")
    assert f"\n  program: {shutil.which('sh')}; hash: not pinned; " in fine


@pytest.mark.parametrize("endpoint", ["http://me:hunter2@h:99999/x", "grpc://me:hunter2@h", "unix://me:hunter2@h/x"])
def test_passwords_in_addresses_are_not_repeated(endpoint: str, remora: Run, place: Path) -> None:
    """
    Whatever else is wrong with the address.
    """
    (place / "bad.toml").write_text(f'[plugins.one]\nendpoint = "{endpoint}"\n')
    result = remora("check", "bad.toml")

    assert (result.code, result.out) == (3, "")
    assert "plugins.one.endpoint: " in result.err
    assert "hunter2" not in result.err


def test_files_of_credentials_that_cannot_be_used_here_are_warnings(remora: Run, place: Path) -> None:
    """
    Each with its key, and only those of plugins that are enabled; as JSON the key is a whole path.
    """
    authority = Authority(place / "ca")
    files = authority.issue("127.0.0.1")
    Path(files["key_file"]).chmod(0o666)
    (place / "rest.pem").write_text("garbage")
    (place / "files.toml").write_text(f"""
        [plugins.missing]
        endpoint = "https://127.0.0.1:1"
        auth = {{ method = "bearer", token_file = "token", ca_file = "none.pem", cert_file = "{files["cert_file"]}" }}
        [plugins.open]
        endpoint = "grpcs://127.0.0.1:1"
        options = {{ cert_file = "{files["cert_file"]}", key_file = "{files["key_file"]}" }}
        [plugins.garbage]
        endpoint = "https://127.0.0.1:1"
        auth.ca_file = "rest.pem"
        [plugins.fine]
        endpoint = "https://127.0.0.1:1"
        auth.ca_file = "{authority.ca_file}"
        [plugins.off]
        endpoint = "https://127.0.0.1:1"
        auth.ca_file = "none.pem"
        enabled = false
    """)
    result = remora("check", "files.toml")
    report = json.loads(remora("check", "files.toml", "--json").out)

    assert (result.code, result.out.splitlines()[-1]) == (0, "ok, with warnings")
    assert "\n  warning: auth.ca_file: 'none.pem' cannot be read here: No such file or directory\n" in result.out
    assert [
        "plugins.missing.auth.ca_file: 'none.pem' cannot be read here: No such file or directory",
        "plugins.missing.auth.token_file: 'token' cannot be read here: No such file or directory",
        f"plugins.open.options.key_file: '{files['key_file']}' cannot be read here: everybody may write to it",
        "plugins.garbage.auth.ca_file: ca_file 'rest.pem' cannot be used for TLS: there is no certificate in it",
    ] == report["warnings"]


@pytest.mark.parametrize(
    ("policy", "path", "words"),
    [
        ("strict", "none/audit.jsonl", "there is no directory PLACE/none; no program starts then"),
        ("permissive", "none/audit.jsonl", "there is no directory PLACE/none; nothing is recorded then"),
        ("permissive", "folder", "it is a directory; nothing is recorded then"),
        ("permissive", "link", "it is a symbolic link, which is not followed; nothing is recorded then"),
    ],
)
def test_an_audit_log_that_cannot_be_written_here_is_a_warning(
    remora: Run, place: Path, policy: str, path: str, words: str
) -> None:
    """
    One, however many programs there are, and none if there are none; one that can be written is not created.
    """
    (place / "folder").mkdir()
    (place / "link").symlink_to(place / "audit.jsonl")
    security = f'[security]\npolicy = "{policy}"\naudit_log = "{path}"\n'
    programs = "".join(f'[plugins.{each}]\nendpoint = "exec:sh"\n' for each in ("one", "two"))
    (place / "log.toml").write_text(security + programs)
    (place / "good.toml").write_text(security.replace(path, "audit.jsonl") + programs)
    (place / "none.toml").write_text(security + '[plugins.one]\nendpoint = "unix:x"\n')
    result = remora("check", "log.toml")
    report = json.loads(remora("check", "log.toml", "--json").out)

    warning = f"security.audit_log: '{path}' cannot be written here: {words.replace('PLACE', str(place))}"
    assert (result.code, report["warnings"]) == (0, [warning])
    assert result.out.splitlines().count(f"warning: {warning}") == 1
    assert remora("check", "log.toml").out.endswith(
        "cannot be started here\n" if policy == "strict" else "\nok, with warnings\n"
    )
    assert "audit_log" not in remora("check", "good.toml").out + remora("check", "none.toml").out
    assert not (place / "audit.jsonl").exists()


def test_rights_decide_whether_an_audit_log_can_be_written() -> None:
    """
    Those of the user who asks; root, who may do anything, becomes a nobody first.
    """
    code = (
        "import os, sys\n"
        "from remora_cli._files import problem_of_audit_log\n"
        "os.chdir(sys.argv[1])\n"
        "if os.getuid() == 0: os.setgroups([]); os.setgid(64999); os.setuid(64999)\n"
        "for path in sys.argv[2:]: print(problem_of_audit_log(path))\n"
    )
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # others can get there, wherever TMPDIR is
        folders = {each: Path(name, each) for each in ("shut", "closed", "open")}
        for folder in folders.values():
            folder.mkdir()
            (folder / "old.jsonl").touch(0o400)
        Path(name).chmod(0o755)
        folders["closed"].chmod(0o555)
        folders["open"].chmod(0o777)
        folders["shut"].chmod(0o600)
        paths = ["open/old.jsonl", "open/new.jsonl", "closed/new.jsonl", "shut/new.jsonl"]
        done = subprocess.run([sys.executable, "-c", code, name, *paths], capture_output=True, text=True, timeout=60)

    assert done.stdout.splitlines() == [
        "this user may not write to it",
        "",
        f"this user may not create files in {folders['closed']}",
        "Permission denied",
    ], done.stderr


def test_good_configuration_is_listed_as_json(remora: Run, place: Path) -> None:
    """
    The same as values.
    """
    (place / "good.toml").write_text(GOOD)
    report = json.loads(remora("check", "good.toml", "--json").out)

    assert (report["ok"], report["warnings"]) == (True, [])
    assert [each["name"] for each in report["plugins"]] == ["one", "two"]


def test_what_has_no_effect_is_a_warning(remora: Run, place: Path) -> None:
    """
    A line on standard error, a word in the last line, and a value for programs.
    """
    table = 'endpoint = "unix:x"\nargs = ["x"]\nrate_limit = { burst_size = 5 }'
    (place / "idle.toml").write_text(f"[plugins.one]\n{table}\n")
    result = remora("check", "idle.toml")

    assert result.out.endswith("\nok, with warnings\n")
    assert [
        "idle.toml:4: plugins.one.rate_limit: has no effect without `enabled = true`",
        "idle.toml:1: plugins.one: the transport unix does not use args",
    ] == json.loads(remora("check", "idle.toml", "--json").out)["warnings"]
    assert "remora: warning: idle.toml:4: plugins.one.rate_limit: has no effect" in result.err


@pytest.mark.parametrize(("protocol", "is_told"), [("oneshot", False), ("jsonl", True)])
def test_credentials_that_no_program_would_get_are_a_warning(
    protocol: str, is_told: bool, remora: Run, place: Path
) -> None:
    """
    And `explain` claims no proof either.
    """
    auth = 'auth = { method = "bearer", token = "secret-token" }'
    (place / "once.toml").write_text(f'[plugins.one]\nendpoint = "exec:cat"\nprotocol = "{protocol}"\n{auth}\n')
    warnings = json.loads(remora("check", "once.toml", "--json").out)["warnings"]
    points = json.loads(remora("explain", "once.toml", "one", "--json").out)["points"]
    (text,) = [each["text"] for each in points if each["topic"] == "auth"]

    why = 'a program with protocol = "oneshot" gets no headers, and so no credentials'
    assert ([] if is_told else [f"once.toml:4: plugins.one.auth: has no effect; {why}"]) == warnings
    assert is_told == text.startswith("The host proves who it is by 'bearer'")


def test_every_problem_is_named(remora: Run, place: Path) -> None:
    """
    Also those that only the installed extensions can tell.
    """
    (place / "bad.toml").write_text(BAD)
    result = remora("check", "bad.toml")

    assert (result.code, result.out) == (3, "")
    assert len(result.err.splitlines()) == 3
    assert '  bad.toml:3: plugins.one.endpoint: transport "carrier" is provided by no installed extension' in result.err
    assert "  bad.toml:6: plugins.two.options.nosuch: unknown key" in result.err
    assert len(json.loads(remora("check", "bad.toml", "--json").out)["error"]["problems"]) == 2


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("absent.toml", None, "remora: absent.toml: No such file or directory"),
        ("broken.toml", "[plugins", "remora: broken.toml:1: "),
        ("odd.ini", "", "remora: odd.ini: unknown file ending; expected one of .toml"),
        (
            "carrier.toml",
            '[plugins.x]\nendpoint = "carrier:x"',
            "remora: carrier.toml:2: plugins.x.endpoint: ",
        ),
        ("typo.toml", '[plugins.x]\nendpint = "http://x"', "remora: typo.toml:2: plugins.x.endpint: "),
    ],
)
def test_unreadable_configuration_is_reported(
    name: str, content: str | None, complaint: str, remora: Run, place: Path
) -> None:
    """
    With the file's name, and the status 3.
    """
    if content is not None:
        (place / name).write_text(content)
    result = remora("check", name)

    assert (result.code, result.out) == (3, "")
    assert result.err.startswith(complaint)
    assert "Traceback" not in result.err


def test_directory_of_fragments_is_checked_as_one_configuration(remora: Run, place: Path) -> None:
    """
    In any mixture of formats, with the variables that set keys.
    """
    folder = place / "conf.d"
    folder.mkdir()
    (folder / "one.toml").write_text('[plugins.one]\nendpoint = "http://127.0.0.1:1"\n')
    (folder / "two.yaml").write_text("plugins: {two: {endpoint: 'http://127.0.0.1:2'}}\n")

    assert remora("check", "conf.d").out == "one  http  http://127.0.0.1:1\ntwo  http  http://127.0.0.1:2\nok\n"
    assert (
        "one  http  http://h  (disabled)\n"
        in remora(
            "check", "conf.d", REMORA__PLUGINS__ONE__ENDPOINT="http://h", REMORA__PLUGINS__ONE__ENABLED="false"
        ).out
    )
    (folder / "three.json").write_text('{"plugins": {"one": {"endpoint": "http://h"}}}')
    result = remora("check", "conf.d")
    assert result.code == 3
    assert result.err.startswith(
        "remora: conf.d/three.json:1: plugins.one.endpoint: is set in conf.d/one.toml:2 already"
    )


def test_discovered_plugins_and_resolvers_are_counted_in(remora: Run, place: Path) -> None:
    """
    By every command that looks at a configuration; what is wrong with a manifest is an error of `check`.
    """
    (place / "plugins").mkdir()
    (place / "plugins" / "found.toml").write_text('name = "found"\nendpoint = "unix:./s"\nretry = {max_retries = 7}\n')
    (place / "host.toml").write_text(
        '[discovery]\ndirectories = ["plugins"]\n[plugins.p]\nresolver = {method = "dns", url = "grpc://h"}\n'
    )
    (place / "bare.toml").write_text('[plugins.p]\nresolver = {method = "dns", url = "grpc://h"}\n')
    checked = remora("check", "host.toml")
    shown = json.loads(remora("config", "show", "host.toml", "found", "--origin", "--json").out)
    explained = remora("explain", "host.toml", "p").out
    told = remora("explain", "host.toml", "found").out
    planned = json.loads(remora("plan", "bare.toml", "host.toml", "--json").out)
    (place / "plugins" / "found.toml").write_text('name = "found"\nendpoint = "unix:./s"\ninstances = 0\n')
    wrong = remora("check", "host.toml")

    assert (checked.code, checked.out) == (0, f"p  resolver  by dns\nfound  unix  unix:{place}/plugins/s\nok\n")
    assert f"{place}/plugins/found.toml:3" == shown["origins"]["plugins.found.retry.max_retries"]
    assert "Calls go where the resolver 'dns' says" in " ".join(explained.split())
    assert "found.toml:2" in "".join(told.split())  # where a line ends depends on the directory
    assert ("added", "unchanged") == tuple(planned["plugins"][name]["action"] for name in ("found", "p"))
    assert wrong.code == 3
    assert "found.toml:3: plugins.found.instances: expected a whole number of at least 1, got 0" in wrong.err


@pytest.mark.parametrize(
    "address",
    [
        "http://user:hunter2password@h:99999/x",
        "http://user:hunter2password/x@h",
        "grpc://user:hunter2password@h",
        "grpc:user:hunter2password@h",
        "grpc://hunter2password@h",
        "unix://user:hunter2password@h",
        "//user:hunter2password@h",
        "nosuch://user:hunter2@password@h",
    ],
)
def test_a_wrong_address_is_quoted_without_its_password(remora: Run, place: Path, address: str) -> None:
    """
    Whoever reads the message may not be who is to know it, neither for people nor for programs.
    """
    (place / "wrong.toml").write_text(f'[plugins.one]\nendpoint = "{address}"\n')
    told, facts = remora("check", "wrong.toml"), remora("check", "wrong.toml", "--json")

    assert (3, 3) == (told.code, facts.code)
    assert "plugins.one.endpoint" in told.err
    assert "hunter2" not in told.err + told.out + facts.err + facts.out


def test_openssl_is_not_loaded_for_nothing(place: Path) -> None:
    """
    Most configurations need none of it to be checked.
    """
    (place / "x.toml").write_text('[plugins.a]\nendpoint = "unix:x"\n')
    words = [sys.executable, "-X", "importtime", "-m", "remora_cli", "check", "x.toml"]
    done = subprocess.run(words, cwd=place, env=environment(), capture_output=True, text=True, timeout=60)

    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert done.returncode == 0, done.stderr
    assert "remora_cli._files" in loaded
    assert not {"ssl", "hashlib", "importlib.metadata"} & loaded
