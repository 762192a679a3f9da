"""
Secrets show themselves only when they are asked to.
"""

from __future__ import annotations

import copy
import json
import logging
import pickle
from dataclasses import asdict, dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import AuthConfig, Call, ConfigError, PluginConfig, Secret
from remora.codecs import JsonCodec
from remora.config import load_access, read_access, structure_config
from remora.secret import redacted

CANARY = "canary-4711"


@dataclass(frozen=True)
class Holder:
    """
    A record with a secret.
    """

    secret: Secret


def test_no_way_of_showing_it_shows_it(caplog: pytest.LogCaptureFixture) -> None:
    """
    Neither a text, nor a format, nor a record, nor a log.
    """
    secret = Secret(CANARY)
    logging.getLogger("remora.test").warning("%s %r %s", secret, secret, Holder(secret))
    shown = [
        str(secret),
        repr(secret),
        f"{secret}",
        f"{secret!r:>40}",
        str([secret]),
        repr(Holder(secret)),
        caplog.text,
    ]

    assert not any(CANARY in text for text in shown)
    assert "Secret(***)" == f"{secret}"
    assert CANARY == secret.reveal()


def test_it_is_not_written_into_payloads() -> None:
    """
    JSON by any way, and pickles.
    """
    secret = Secret(CANARY)
    with pytest.raises(ValueError, match="secret") as caught:
        JsonCodec().encode(Holder(secret))
    with pytest.raises(TypeError):
        json.dumps({"secret": secret})
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secret)

    assert CANARY not in str(caught.value)


def test_records_that_hold_it_can_be_copied() -> None:
    """
    A copy is the secret itself.
    """
    secret = Secret(CANARY)

    assert copy.deepcopy(Holder(secret)) == replace(Holder(secret)) == Holder(copy.copy(secret))
    assert asdict(Holder(secret)) == {"secret": secret}


def test_it_does_not_change() -> None:
    """
    Like every value.
    """
    with pytest.raises(AttributeError):
        Secret("a")._text = "b"  # type: ignore[misc]
    with pytest.raises(TypeError, match="not int"):
        Secret(1)  # type: ignore[arg-type]


@given(st.text(), st.text())
def test_two_are_equal_when_their_texts_are(one: str, other: str) -> None:
    """
    And then have the same hash.
    """
    assert (Secret(one) == Secret(other)) == (one == other)
    assert Secret(one) == Secret(Secret(one))
    assert hash(Secret(one)) == hash(Secret(Secret(one)))
    assert Secret(one) != one
    assert bool(Secret(one)) == bool(one)


def test_configuration_reads_secrets_and_shows_none() -> None:
    """
    Neither the records nor the errors of a table have them.
    """
    table = {"method": "basic", "username": "u", "password": "${PASSWORD}", "headers": {"x-a": CANARY}}
    program = {"endpoint": "exec:p", "args": ["--password", CANARY], "env": {"WORD": CANARY}}
    data = {"plugins": {"p": {"endpoint": "http://h", "auth": table}, "q": program}}
    config = structure_config(data, variables={"PASSWORD": CANARY})
    with pytest.raises(ConfigError) as caught:
        structure_config({"plugins": {"p": {"endpoint": "http://h", "auth": {"token": [CANARY], "headers": CANARY}}}})

    assert config.plugins["p"].auth.password.reveal() == CANARY
    assert CANARY not in repr(config)
    assert CANARY not in str(caught.value)
    assert CANARY not in repr(Call(headers={"authorization": CANARY}))


def test_defaults_of_another_method_do_not_count() -> None:
    """
    A plugin with a method of its own has nothing of the default one; with the same, field by field.
    """
    defaults = {"auth": {"method": "bearer", "token": "t", "ca_file": "ca.pem"}}
    plugins = {
        "same": {"endpoint": "http://h", "auth": {"token": "own"}},
        "other": {"endpoint": "http://h", "auth": {"method": "basic", "username": "u"}},
        "silent": {"endpoint": "http://h"},
    }
    read = structure_config({"defaults": defaults, "plugins": plugins}).plugins

    assert read["same"].auth == AuthConfig(method="bearer", token=Secret("own"), ca_file="ca.pem")
    assert read["other"].auth == AuthConfig(method="basic", username="u")
    assert read["silent"].auth == AuthConfig(method="bearer", token=Secret("t"), ca_file="ca.pem")


def test_access_is_read_from_a_file_a_table_and_a_text(tmp_path) -> None:
    """
    The three say the same.
    """
    (tmp_path / "auth.toml").write_text('[auth]\nmethod = "bearer"\ntoken_file = "/run/token"\nopen_health = false\n')
    texts = [str(tmp_path / "auth.toml"), "bearer:token_file=/run/token,open_health=false"]
    table = {"method": "bearer", "token_file": "/run/token", "open_health": False}

    assert [load_access(table)] * 2 == [read_access(text) for text in texts]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"bearer:token={CANARY}", r"auth\.token: a command line is no place for a secret"),
        ("bearer:tokn_file=x", r"auth\.tokn_file: unknown key"),
        ("bearer:token_file", "not of the form KEY=VALUE"),
        ("nowhere.toml", "No such file"),
    ],
)
def test_access_that_makes_no_sense_is_an_error(text: str, message: str) -> None:
    """
    Which never shows a secret.
    """
    with pytest.raises(ConfigError, match=message) as caught:
        read_access(text)

    assert CANARY not in str(caught.value)


def test_objects_of_the_program_stay_what_they_are() -> None:
    """
    A plugin that is registered in code may hold what no file can.
    """
    auth = AuthConfig(method="custom", custom=object())

    assert PluginConfig(name="p", endpoint="http://h", auth=auth).auth.custom is auth.custom


def test_what_others_say_is_shown_without_the_secrets_that_are_held() -> None:
    """
    In texts and in plain values, whatever was made of two secrets one of which contains the other.
    """
    held = [Secret(CANARY), Secret(f"{CANARY}-and-more"), Secret("short")]
    said = {"a": [f"<{CANARY}>", 1, None], CANARY: {"b": f"{CANARY}-and-more short"}}

    assert {"a": ["<***>", 1, None], "***": {"b": "*** short"}} == redacted(said)
    assert held


def test_a_secret_that_nobody_holds_any_more_is_none() -> None:
    """
    Also when an equal one came after it.
    """
    first, second = Secret("nobody knows this"), Secret("nobody knows this")
    del first
    hidden = redacted("nobody knows this")
    del second

    assert "***" == hidden
    assert "nobody knows this" == redacted("nobody knows this")


def test_what_is_nested_without_end_is_an_error() -> None:
    """
    Not a RecursionError.
    """
    held, value = Secret(CANARY), list[object]()
    for _ in range(100_000):
        value = [value]

    with pytest.raises(ValueError, match="nested too deeply"):
        redacted(value)
    assert held
