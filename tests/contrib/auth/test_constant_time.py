"""
What a caller shows is compared in a time that tells nothing of what is right.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from remora import AccessConfig, Call, PluginError, Secret
from remora._extensions._registry import load_catalog
from remora.protocols import Verifier
from remora_auth._header import write_basic
from tests.contrib.comparisons import counted

CATALOG = load_catalog()
KNOWN = {"bob": "b0b", "eve": "3ve", "carol": "c4rol"}
SHOWN = {
    "the first": ("bob", "b0b"),
    "the last": ("carol", "c4rol"),
    "another one's": ("bob", "c4rol"),
    "nearly right": ("carol", "c4roX"),
    "a name that does not exist": ("mallory", "b0b"),
    "nothing that exists": ("mallory", "m"),
    "a very long one": ("m" * 1000, "x" * 5000),
}
COMPARISONS = {"api-key": len(KNOWN), "bearer": len(KNOWN), "basic": 2 * len(KNOWN)}
"""One for every known credential; for `basic` one for its name, too."""


@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("method", COMPARISONS)
def test_every_known_credential_is_compared_in_constant_time(method: str, shown: str, tmp_path: Path) -> None:
    """
    Whatever is shown: nothing ends at the first that is right, or at a name that does not exist.
    """
    path = tmp_path / "callers"
    path.write_text("".join(f"{name}:{secret}\n" for name, secret in KNOWN.items()))
    verifier = CATALOG.auth_method(method).spec.accept(AccessConfig(method=method, callers_file=str(path)))
    name, secret = SHOWN[shown]
    call = Call(headers=headers(method, name, secret))
    with counted() as comparisons:
        identity = verify(verifier, call)
    owners = [owner for owner, credential in KNOWN.items() if credential == secret]
    expected = owners if method != "basic" or owners == [name] else []

    assert [COMPARISONS[method]] == comparisons
    assert expected == identity


def headers(method: str, name: str, secret: str) -> dict[str, str]:
    """
    What a caller of that name shows.
    """
    if method == "basic":
        return {"authorization": write_basic(name, Secret(secret))}
    return {"x-api-key": secret} if method == "api-key" else {"authorization": f"Bearer {secret}"}


def verify(verifier: Verifier, call: Call) -> list[str]:
    """
    Who it is; nobody when it is refused.
    """
    try:
        return [str(verifier.verify(call, "peer"))]
    except PluginError:
        return []
