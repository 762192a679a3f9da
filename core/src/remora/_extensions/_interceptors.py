"""
From the configuration to interceptors: which are switched on, and what each makes with its options.

What lives here: choosing, checking and building. What must not: how calls go through them (see `_interception`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remora._extensions._catalog import located
from remora._extensions._options import build_interceptor_options
from remora._frozen import dataclass
from remora.errors import ConfigError, ExtensionError, NotInstalled

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remora._extensions._catalog import Catalog
    from remora._extensions._feature import Feature
    from remora.config import InterceptorConfig
    from remora.specs import InterceptorSpec

TABLE = "interceptors"
"""Where the tables are."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """
    An interceptor that calls go through.

    Attributes:
        feature: What makes it.
        table: Its table; None when nothing is said about it.
        where: The path of its table, for messages.
    """

    feature: Feature[InterceptorSpec]
    table: InterceptorConfig | None
    where: str

    def make(self, *arguments: object, by: str) -> Any:
        """
        What one of its builders makes; None when it has no such builder.

        Raises:
            ConfigError: An option is wrong.
            ExtensionError: It cannot be built.
        """
        spec = self.feature.spec
        if getattr(spec, by) is None:
            return None
        options = build_interceptor_options(spec, where=self.where, own=self.table.options if self.table else {})
        return self.feature.build("interceptor", *arguments, *options, by=by, where=self.where if self.table else "")


def wanted_interceptors(
    catalog: Catalog, tables: Mapping[str, InterceptorConfig], own: Mapping[str, object], where: str
) -> Iterator[Wanted]:
    """
    The interceptors that are switched on, outermost first.

    Args:
        catalog: What is installed.
        tables: The tables that hold.
        own: Those of them that the plugin has itself.
        where: The path of the plugin's table.
    """
    features = [claims[0] for claims in catalog.interceptors.values()]
    for feature in sorted(features, key=_place):
        name = feature.spec.name
        table = tables.get(name)
        if table is None or table.enabled is not False:
            yield Wanted(feature, table, f"{where}.{TABLE}.{name}" if name in own else f"{TABLE}.{name}")


def check_interceptor_table(catalog: Catalog, name: str, table: InterceptorConfig, where: str) -> None:
    """
    Check the table of an interceptor, even of one that is switched off: a misspelt name would leave it on.

    Raises:
        NotInstalled: There is none of that name.
        ConfigError: An option is wrong.
    """
    build_interceptor_options(catalog.interceptor(name).spec, where=where, own=table.options)


def errors_of_interceptors(catalog: Catalog, tables: Mapping[str, InterceptorConfig]) -> list[ConfigError]:
    """
    What is wrong with the tables of interceptors that hold for all plugins.
    """
    found = (_error_of(catalog, name, table) for name, table in tables.items())
    return [error for error in found if error is not None]


def _error_of(catalog: Catalog, name: str, table: InterceptorConfig) -> ConfigError | None:
    where = f"{TABLE}.{name}"
    try:
        check_interceptor_table(catalog, name, table, where)
    except (NotInstalled, ExtensionError) as error:  # of an installation, which does not know who needs it
        return located(error, where)
    except ConfigError as error:
        return error
    return None


def _place(feature: Feature[InterceptorSpec]) -> tuple[int, str]:
    return feature.spec.order, feature.spec.name
