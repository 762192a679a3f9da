"""
Configurations that Hypothesis makes up, and files of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args, get_type_hints

import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from remora.policy import RetryConfig
from remora.values import Limits
from tests.share import of_hundred

ONE_FILE = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=of_hundred(60))


def written(folder: Path, name: str, content: str | bytes) -> Path:
    """
    A file with that content.
    """
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return file


def paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    """
    The paths of everything in a value but itself.
    """
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {found for key, each in items for found in ({(*path, key)} | paths(each, (*path, key)))}


NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,6}", fullmatch=True)
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], exclude_characters="$"), max_size=8)


def numbers(hint: Any) -> st.SearchStrategy[object]:
    """
    Values of a key with limits.
    """
    limits = next(each for each in hint.__metadata__ if isinstance(each, Limits))
    least, most = int(limits.minimum) + limits.is_exclusive, int(limits.maximum or limits.minimum + 100)
    return st.integers(least, most) if get_args(hint)[0] is int else st.floats(least, most)


RETRY = {
    key: numbers(hint)
    for key, hint in get_type_hints(RetryConfig, include_extras=True).items()
    if hasattr(hint, "__metadata__")
}
PLUGINS = st.fixed_dictionaries(
    {"endpoint": TEXTS.map("http://{}".format)},
    optional={
        "instances": st.integers(1, 9),
        "enabled": st.booleans(),
        "protocol": st.sampled_from(["ttrpc", "jsonl", "oneshot"]),
        "labels": st.dictionaries(TEXTS, TEXTS, max_size=3),
        "args": st.lists(TEXTS, max_size=3),
        "retry": st.fixed_dictionaries({}, optional={key: RETRY[key] for key in ("max_retries", "multiplier")}),
        "auth": st.fixed_dictionaries({"token": TEXTS, "method": st.just("bearer")}),
    },
)


class Quoting(yaml.SafeDumper):
    """
    Quotes every text: what needs no quotes in YAML 1.1, such as 0E0, is a number in 1.2.
    """


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))
