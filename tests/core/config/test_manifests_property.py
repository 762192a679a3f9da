"""
Manifests mean what the same table would mean in the configuration, and nothing that lies in a folder can do more than
be refused.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tomlkit
import yaml
from hypothesis import given
from hypothesis import strategies as st

from remora import DiscoveryConfig, ManagerConfig
from remora.config import FORMATS, discover, path_text, structure_config
from tests.core.config.files import NAMES, ONE_FILE, PLUGINS, TEXTS, Quoting, paths, written

DEFAULTS = {"retry": {"max_retries": 4}, "health_check": {"interval": 9}}
TABLES = st.tuples(
    PLUGINS,
    st.fixed_dictionaries(
        {},
        optional={
            "auth": st.fixed_dictionaries({"token": TEXTS.map("./{}".format), "method": st.just("bearer")}),
            "args": st.lists(TEXTS.map("../{}".format), max_size=2),
            "requires": st.lists(NAMES, max_size=2),
            "options": st.dictionaries(NAMES, st.integers(), max_size=2),
        },
    ),
).map(lambda pair: {**pair[0], **pair[1]})


def folder(tmp_path: Path) -> ManagerConfig:
    """
    The configuration that looks for manifests there.
    """
    return structure_config({"defaults": DEFAULTS, "discovery": {"directories": [str(tmp_path)]}}, variables={})


@ONE_FILE
@given(NAMES, TABLES)
def test_a_manifest_means_what_its_table_would_mean_in_the_configuration(
    tmp_path: Path, name: str, table: dict[str, Any]
) -> None:
    """
    In every format, with the defaults; and each of its keys has its line.
    """
    (tmp_path / "in").mkdir(exist_ok=True)
    whole = {"name": name, **table}
    texts = {
        ".toml": tomlkit.dumps(whole),
        ".json": json.dumps(whole),
        ".yaml": yaml.dump(whole, Dumper=Quoting, allow_unicode=True),
    }
    discovery = {"directories": [str(tmp_path / "in")]}
    config = {"defaults": DEFAULTS, "plugins": {name: table}, "discovery": discovery}
    expected = structure_config(config, variables={}).plugins[name]
    for ending, text in texts.items():
        file = written(tmp_path / "in", f"x{ending}", text)
        found = discover(folder(tmp_path / "in"), variables={})
        file.unlink()

        assert {str(file): expected} == found.plugins, found.rejected
        assert {f"plugins.{name}.{path}" for path in texts_of(table)} <= found.places.keys()


def texts_of(table: dict[str, Any]) -> set[str]:
    """
    The paths of the keys of a plugin's table, as messages write them.
    """
    return {path_text(["plugins", "x", *path]).removeprefix("plugins.x.") for path in paths(table)}


@ONE_FILE
@given(
    st.dictionaries(
        st.sampled_from([f"{stem}{ending}" for stem in "abc" for ending in FORMATS]),
        st.binary(max_size=40)
        | st.sampled_from([b"", b"[]", b"1", b"{}"])
        | st.lists(
            st.sampled_from(
                ["name", "endpoint", ' = "a:b"', ": 'a:b'", "{", "}", "\n", ",", '"name": "x"', "${X}", "./"]
            )
        ).map(lambda parts: "".join(parts).encode()),
        max_size=4,
    )
)
def test_garbage_among_manifests_is_refused_with_its_file_and_keeps_no_other_out(
    tmp_path: Path, contents: dict[str, bytes]
) -> None:
    """
    The good one is always used; every other is used or refused, never both, and each problem names the file.
    """
    (tmp_path / "in").mkdir(exist_ok=True)
    for old in (tmp_path / "in").iterdir():
        old.unlink()
    good = written(tmp_path / "in", "0.toml", 'name = "good"\nendpoint = "http://h"\n')
    files = {str(written(tmp_path / "in", name, content)) for name, content in contents.items()}
    found = discover(folder(tmp_path / "in"), variables={})

    assert "good" == found.plugins[str(good)].name
    assert files | {str(good)} == found.plugins.keys() | found.rejected.keys()
    assert not found.plugins.keys() & found.rejected.keys()
    assert all(line.startswith(file) for file, lines in found.rejected.items() for line in lines)
    assert len(found.plugins) == len({each.name for each in found.plugins.values()})


@ONE_FILE
@given(
    st.builds(
        DiscoveryConfig,
        directories=st.just(("in",)) | st.just(("in", "in/a", "nowhere")),
        patterns=st.lists(TEXTS | st.sampled_from(["*", "**", "[", "*.toml", "a/*", "?"]), max_size=3).map(tuple),
        max_depth=st.integers(0, 3),
    )
)
def test_any_patterns_find_files_or_nothing(tmp_path: Path, discovery: DiscoveryConfig) -> None:
    """
    Each file once, none deeper than allowed.
    """
    for path in ("a", "a/b", "a/b/c"):
        (tmp_path / path).mkdir(exist_ok=True)
        (tmp_path / path / "x.toml").write_text('name = "x"\nendpoint = "a:b"\n')
    directories = tuple(str(tmp_path / each.removeprefix("in").strip("/")) for each in discovery.directories)
    found = discover(
        ManagerConfig(
            discovery=DiscoveryConfig(
                directories=directories, patterns=discovery.patterns, max_depth=discovery.max_depth
            )
        ),
        variables={},
    )
    files = [*found.plugins, *(file for file in found.rejected if file.endswith(".toml"))]

    assert len(files) == len(set(files)) <= 3
    deepest = max((len(Path(each).relative_to(tmp_path).parts) for each in files), default=0)
    assert deepest - 1 <= discovery.max_depth + len(directories) // 2
