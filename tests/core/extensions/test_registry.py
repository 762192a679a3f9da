"""
From installed distributions to features. Made-up distributions are installed for a program of their own.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from textwrap import dedent
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from remora import (
    BalancerSpec,
    CodecSpec,
    ExtensionConflict,
    ExtensionError,
    InterceptorSpec,
    Manager,
    NotInstalled,
    TransportSpec,
    hookimpl,
)
from remora._extensions._catalog import Catalog
from remora._extensions._feature import Origin
from remora._extensions._registry import Registry, load_catalog
from remora.codecs import JsonCodec
from remora.testing import MemoryTransport
from tests.core.site import Site

CARRIER = """
    from dataclasses import dataclass
    from remora import TransportSpec, hookimpl

    @dataclass(frozen=True)
    class Options:
        pass

    @hookimpl
    def remora_register_transports():
        return [TransportSpec(name="NAME", schemes=("SCHEME",), options=Options, build=Options)]
"""

LOAD = """
    import logging
    logging.disable()
    from remora import ConfigError
    from remora._extensions._registry import load_catalog
    try:
        load_catalog()
        print("loaded")
    except ConfigError as error:
        print(type(error).__name__, error)
"""

USE = """
    import logging
    logging.disable()
    from remora import ConfigError, Manager
    try:
        Manager({"plugins": {"p": {"endpoint": "kafka:x"}}})
        print("made")
    except ConfigError as error:
        print(type(error).__name__, error)
"""

STATES = """
    import logging
    logging.disable()
    from remora._extensions._registry import Registry
    for each in Registry().extensions:
        print(each.origin.entry_point, each.state, each.origin, *each.features)
"""


def carrier(name: str = "kafka", scheme: str = "kafka") -> str:
    """
    The code of an extension with one transport.
    """
    return CARRIER.replace("NAME", name).replace("SCHEME", scheme)


@dataclass(frozen=True)
class Options:
    """
    The options of the transports below.
    """


def carrier_spec(name: str, *schemes: str) -> TransportSpec[Options]:
    """
    A transport that is never built.
    """
    return TransportSpec(name, schemes or (name,), Options, build=NotImplemented)


class Carrier:
    """
    An extension as an object.
    """

    def __init__(self, name: str = "carrier", *schemes: str) -> None:
        self._spec = carrier_spec(name, *schemes)

    @hookimpl
    def remora_register_transports(self) -> list[TransportSpec[Options]]:
        """
        One transport.
        """
        return [self._spec]


def test_one_entry_point_name_of_two_distributions_names_both(site: Site) -> None:
    """
    Neither is dropped without a word.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())
    site.install("acme-two", "2.5", {"kafka": "two"}, two=carrier())

    said = site.run(LOAD)

    assert said.startswith("ExtensionConflict the entry point 'kafka' is claimed by ")
    assert "acme-one 1.0" in said
    assert "acme-two 2.5" in said


def test_one_transport_name_of_two_distributions_names_both(site: Site) -> None:
    """
    The entry points differ, the transports do not.
    """
    site.install("acme-one", "1.0", {"one": "one"}, one=carrier(scheme="k1"))
    site.install("acme-two", "2.5", {"two": "two"}, two=carrier(scheme="k2"))

    said = site.run(LOAD)

    assert said.startswith("ExtensionConflict the transport 'kafka' is claimed by acme-one 1.0 and acme-two 2.5: ")


def test_one_scheme_of_two_distributions_names_both_when_it_is_used(site: Site) -> None:
    """
    Until then they live side by side, and `transport = "..."` chooses.
    """
    site.install("acme-one", "1.0", {"one": "one"}, one=carrier("first"))
    site.install("acme-two", "2.5", {"two": "two"}, two=carrier("second"))

    assert "loaded" == site.run(LOAD)
    said = site.run(USE)
    assert "plugins.p" in said or "plugin 'p'" in said
    assert "the scheme 'kafka' is claimed by acme-one 1.0 and acme-two 2.5: choose one with `transport = " in said
    assert "made" == site.run(USE.replace('"kafka:x"', '"kafka:x", "transport": "second"'))


def test_leaving_out_one_of_two_ends_their_conflict(site: Site) -> None:
    """
    REMORA_DISABLE takes the name of a distribution.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())
    site.install("acme-two", "2.5", {"kafka": "two"}, two=carrier())

    assert "made" == site.run(USE, REMORA_DISABLE="acme-two")


def test_the_transport_of_an_installed_distribution_is_used(site: Site) -> None:
    """
    The plain good case.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())

    assert "made" == site.run(USE)
    assert "kafka loaded acme-one 1.0 transport kafka" in site.run(STATES)


@pytest.mark.parametrize("name", ["kafka", "acme-one", "Acme_One", " kafka , other"])
def test_a_disabled_extension_is_not_even_imported(site: Site, name: str) -> None:
    """
    By its entry point or its distribution; case and separators do not matter.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one="raise SystemExit('imported')")

    assert "kafka disabled acme-one 1.0" in site.run(STATES, REMORA_DISABLE=name)


def test_an_unknown_name_to_disable_is_a_warning_once_with_the_near_one(site: Site) -> None:
    """
    Both kinds of names count as known, and two managers of one process warn once.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())
    program = """
    import logging, sys
    logging.basicConfig(stream=sys.stdout, format="%(levelname)s %(message)s")
    from remora._extensions._registry import load_catalog
    print(*load_catalog().disabled, *load_catalog().disabled)
    """

    said = site.run(program, REMORA_DISABLE="kafak,Acme_Oen,codecs,nothing-like-it,")

    assert [
        'WARNING REMORA_DISABLE names "kafak", but no installed extension has that name; did you mean "kafka"?',
        'WARNING REMORA_DISABLE names "Acme_Oen", but no installed extension has that name; did you mean "acme-one"?',
        'WARNING REMORA_DISABLE names "nothing-like-it", but no installed extension has that name',
        "codecs codecs",
    ] == said.splitlines()


def test_a_disabled_extension_is_named_when_it_is_needed(site: Site) -> None:
    """
    Not: install it.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())

    said = site.run(USE, REMORA_DISABLE="kafka")

    assert said.startswith("NotInstalled ")
    assert "acme-one 1.0 is in REMORA_DISABLE" in said


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import no_such_module_anywhere", "ModuleNotFoundError: No module named 'no_such_module_anywhere'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError: "),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("class Panic(BaseException): pass\nraise Panic('index out of bounds')", "Panic: index out of bounds"),
        ("import warnings; warnings.warn('old')", "UserWarning: old"),
        ("class Mute(Exception):\n    def __str__(self): return 1 / 0\nraise Mute", "Mute"),
    ],
)
@pytest.mark.parametrize("entry_point", ["kafka", "acme"])
def test_a_broken_import_hurts_only_who_needs_it(site: Site, code: str, reason: str, entry_point: str) -> None:
    """
    The others work on, it is listed, and its name comes up when a feature is missing.
    """
    site.install("acme-one", "1.0", {entry_point: "one"}, one=code)

    assert "loaded" == site.run(LOAD)
    assert f"{entry_point} broken acme-one 1.0" in site.run(STATES)
    said = site.run(USE)
    assert said.startswith("NotInstalled ")
    assert f"extension '{entry_point}' of acme-one 1.0 cannot be imported: {reason}" in said
    assert 1 == len(said.splitlines())


def test_a_broken_extension_is_not_to_blame_for_a_misspelt_name(site: Site) -> None:
    """
    Nor is one that is switched off.
    """
    site.install("acme-one", "1.0", {"acme": "one"}, one="1 / 0")
    said = site.run(USE.replace("kafka:x", "htpp://h"))

    assert 'transport "htpp" is provided by no installed extension (did you mean "http"?); installed: ' in said
    assert "acme" not in said


@pytest.mark.parametrize("value", ["nowhere", "one:missing", "one:nothing", "one:", "not a value", "one.two:three"])
def test_a_wrong_entry_point_hurts_only_who_needs_it(site: Site, value: str) -> None:
    """
    Whatever the metadata says.
    """
    site.install("acme-one", "1.0", {"kafka": value}, one="nothing = None")

    assert "loaded" == site.run(LOAD)


def test_metadata_without_a_name_hurts_nobody(site: Site) -> None:
    """
    Left-overs of an uninstalled distribution are everyday life.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())
    (site.path / "acme_one-1.0.dist-info" / "METADATA").unlink()

    assert "loaded" == site.run(LOAD)


def test_a_hook_that_raises_hurts_only_who_needs_it(site: Site) -> None:
    """
    Its import went well, its hook does not.
    """
    site.install(
        "acme-one",
        "1.0",
        {"kafka": "one"},
        one="""
        from remora import hookimpl

        @hookimpl
        def remora_register_transports():
            raise RuntimeError("no licence")
        """,
    )

    assert "loaded" == site.run(LOAD)
    said = site.run(USE)
    assert "extension 'kafka' of acme-one 1.0 failed to register its features: RuntimeError: no licence" in said


@pytest.mark.parametrize(
    ("hook", "reason"),
    [
        (
            "def remora_register_transport():",
            "no hook 'remora_register_transport'; there are: remora_event, remora_register_",
        ),
        (
            "def remora_register_transports(manager):",
            "hook 'remora_register_transports' has no argument 'manager'; it has none",
        ),
        ("def remora_event(evnt):", "hook 'remora_event' has no argument 'evnt'; it has: event"),
        ("async def remora_register_transports():", "coroutine"),
        ("def remora_event(event): return\ndef remora_register_codecs():", "remora_register_codecs is not marked with"),
    ],
)
def test_a_wrong_hook_is_fatal_and_named(site: Site, hook: str, reason: str) -> None:
    """
    Misspelt, with an argument that there is not, asynchronous, or without its mark: nothing of it would ever run.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=f"from remora import hookimpl\n@hookimpl\n{hook} return []")

    said = site.run(LOAD)

    assert said.startswith("ExtensionError extension 'kafka' of acme-one 1.0 has a wrong hook: ")
    assert reason in said
    assert 1 == len(said.splitlines())


def test_two_entry_points_for_one_module_are_a_problem_with_a_name(site: Site) -> None:
    """
    Its features would be there twice.
    """
    site.install("acme-one", "1.0", {"kafka": "one", "rabbit": "one"}, one=carrier())

    assert "ExtensionError extension 'rabbit' of acme-one 1.0 is registered already, as 'kafka'" == site.run(LOAD)


def test_the_metadata_is_scanned_once(site: Site) -> None:
    """
    What is installed later is for the next process.
    """
    program = f"""
    import logging
    logging.disable()
    from pathlib import Path
    from remora._extensions._registry import load_catalog
    load_catalog()
    info = Path({str(site.path)!r}) / "late-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\\nName: late\\nVersion: 1\\n")
    (info / "entry_points.txt").write_text("[remora]\\nlate = nowhere\\n")
    print("late" in load_catalog().broken)
    """

    assert "False" == site.run(program)
    assert "late broken late 1" in site.run(STATES)


def test_core_comes_in_through_the_same_door() -> None:
    """
    JSON is a feature of the distribution `remora`, and so is staying where the configuration says.
    """
    found = [each for each in Registry().extensions if each.origin.entry_point == "core"]

    assert ["codec json", "resolver static"] == found[0].features
    assert "remora" == found[0].origin.distribution
    assert found[0].origin.version


def test_a_module_can_be_passed() -> None:
    """
    An extension need not be installed.
    """
    module = ModuleType("acme")
    module.remora_register_transports = hookimpl(lambda: [carrier_spec("kafka")])  # type: ignore[attr-defined]

    catalog = load_catalog([module])

    assert "acme (passed to the manager)" == str(catalog.transport("kafka").origin)


def test_objects_of_one_class_can_be_passed() -> None:
    """
    Each has features of its own.
    """
    catalog = load_catalog([Carrier("one"), Carrier("two")])

    assert ["one", "two"] == [catalog.transport(name).spec.name for name in ("one", "two")]


def test_one_object_passed_twice_is_a_clear_error() -> None:
    """
    Not a wrong hook.
    """
    twice = Carrier()
    with pytest.raises(ExtensionError, match="is registered already"):
        load_catalog([twice, twice])


@pytest.mark.parametrize("extension", [None, "acme", ModuleType("acme"), carrier_spec("acme")])
def test_what_is_passed_and_has_no_hooks_is_a_clear_error(extension: object) -> None:
    """
    Its features would be missing without a word.
    """
    with pytest.raises(ExtensionError, match=r"passed to the manager. has no hooks, which are .* `@hookimpl`"):
        load_catalog([extension])


def test_an_installed_extension_may_be_passed_as_well(site: Site) -> None:
    """
    Its own tests do so, and are run before and after it is installed.
    """
    site.install("acme-one", "1.0", {"kafka": "one"}, one=carrier())
    load = "from remora._extensions._registry import load_catalog"
    program = f"import one; {load}; print(load_catalog([one]).transport('kafka').origin)"

    assert "acme-one 1.0" == site.run(program)


def test_two_passed_objects_with_one_name_conflict() -> None:
    """
    As two distributions do.
    """
    with pytest.raises(ExtensionConflict, match="the transport 'kafka' is claimed by Carrier"):
        load_catalog([Carrier("kafka", "a"), Carrier("kafka", "b")])


@pytest.mark.parametrize(
    ("scheme", "extra"), [("quic", None), ("https", "http"), ("grpcs", "grpc"), ("unix", "unix"), ("exec", "exec")]
)
def test_what_is_not_installed_names_its_extra(site: Site, scheme: str, extra: str | None) -> None:
    """
    Where there is one: the extras are those of the distribution itself.
    """
    program = f"""
    from remora import NotInstalled
    from remora._extensions._catalog import Catalog
    try:
        Catalog().transport({scheme!r})
    except NotInstalled as error:
        print(error)
    """
    expected = f'is not installed: pip install "remora[{extra}]"' if extra else "is provided by no installed extension"

    assert f'transport "{scheme}" {expected}' in site.run(program)


@pytest.mark.parametrize(
    ("point", "told"), [("core", "is not installed: pip install"), ("codecs", "is provided by no")]
)
def test_the_extra_of_a_kind_is_named_also_where_the_core_has_one_of_that_kind(point: str, told: str) -> None:
    """
    Unless it is installed, and does not have it.
    """
    catalog = Catalog()
    spec = CodecSpec(name="json", content_types=("application/json",), build=JsonCodec)
    catalog.add(Origin(point, lambda: ("somebody", "1.0")), codecs=[spec])

    with pytest.raises(NotInstalled, match=f'codec "msgpack" {told}'):
        catalog.codec("msgpack")


def test_a_near_miss_gets_a_suggestion() -> None:
    """
    Among what is installed.
    """
    with pytest.raises(
        NotInstalled, match=r'codec "jsom" is provided by no installed extension \(did you mean "json"\?'
    ):
        load_catalog().codec("jsom")


def test_a_builder_that_raises_is_named() -> None:
    """
    A codec that cannot be built is its extension's fault.
    """

    class Broken:
        @hookimpl
        def remora_register_codecs(self) -> list[CodecSpec]:
            return [CodecSpec(name="cbor", content_types=("application/cbor",), build=lambda: 1 / 0)]  # type: ignore[arg-type, return-value]

    catalog = load_catalog([Broken()])
    with pytest.raises(ExtensionError, match="the codec 'cbor' of .*Broken .* cannot be built: ZeroDivisionError"):
        catalog.codec("cbor")


@pytest.mark.anyio
async def test_what_is_built_and_lacks_a_method_is_named() -> None:
    """
    With what it lacks.
    """

    class Half:
        @hookimpl
        def remora_register_codecs(self) -> list[CodecSpec]:
            return [CodecSpec(name="cbor", content_types=("application/cbor",), build=object)]  # type: ignore[arg-type]

        @hookimpl
        def remora_register_balancers(self) -> list[BalancerSpec]:
            return [BalancerSpec(name="half", build=lambda clock, rng: SimpleNamespace(pick=min))]  # type: ignore[arg-type, return-value]

    with pytest.raises(ExtensionError, match="the codec 'cbor' of .*Half.* has no content_type, encode, decode$"):
        load_catalog([Half()]).codec("cbor")
    config = {"plugins": {"p": {"endpoints": ["memory:a", "memory:b"], "balancer": "half"}}}
    with pytest.raises(ExtensionError, match="the balancer 'half' of .*Half.* has no started, finished$"):
        async with Manager(config, extensions=[MemoryTransport().extension, Half()]):
            raise AssertionError("it was built")


def test_a_hook_that_returns_junk_adds_nothing() -> None:
    """
    Not even what was fine.
    """

    class Junk(Carrier):
        @hookimpl
        def remora_register_interceptors(self) -> list[InterceptorSpec]:
            return ["tenant"]  # type: ignore[list-item]

    registry = Registry([Junk("kafka")])

    broken = [str(each.problem) for each in registry.extensions if each.state == "broken"]
    assert "remora_register_interceptors returned str in its list, instead of InterceptorSpec" in broken[0]
    with pytest.raises(NotInstalled):
        registry.catalog.transport("kafka")


TCP: dict[str, Any] = {"schemes": ("tcp",), "options": object, "build": object}


@pytest.mark.parametrize(
    ("returned", "problem"),
    [
        (None, "returned nothing, instead of a list; is there a `return` in it?"),
        ("tcp", "returned a str, instead of a list with TransportSpec in it"),
        (TransportSpec(name="tcp", **TCP), "returned a TransportSpec, instead of a list with TransportSpec in it"),
        ([TransportSpec(name="", **TCP)], "returned a TransportSpec whose name is '', which no configuration can have"),
        ([TransportSpec(name=3, **TCP)], "returned a TransportSpec whose name is 3, which no configuration can have"),  # type: ignore[arg-type]
        (
            [TransportSpec(name="tcp", **{**TCP, "schemes": "tcp"})],
            "the schemes of the transport 'tcp' are 'tcp', instead of a tuple of texts",
        ),
        (
            [TransportSpec(name="tcp", **{**TCP, "schemes": ("TCP",)})],
            "the transport 'tcp' has the scheme 'TCP'; a scheme is like 'acme-tcp'",
        ),
    ],
)
def test_what_a_hook_returned_is_told_before_anybody_needs_it(returned: object, problem: str) -> None:
    """
    A spec that no configuration can name would be listed as if it could.
    """

    class Junk:
        @hookimpl
        def remora_register_transports(self) -> object:
            return returned

    (broken,) = [str(each.problem) for each in Registry([Junk()]).extensions if each.state == "broken"]

    assert problem in broken


@pytest.mark.every_cell
def test_import_remora_loads_nothing_heavy() -> None:
    """
    Nor does reading every entry point.
    """
    program = """
    import sys
    import remora
    from remora._extensions._registry import load_catalog
    load_catalog()
    print([name for name in ("httpx", "grpc", "trio", "opentelemetry", "hypercorn", "google") if name in sys.modules])
    """
    command = [sys.executable, "-c", dedent(program)]

    assert "[]\n" == subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
