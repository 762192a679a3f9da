"""
One feature of an extension, and the distribution that it comes from.

What lives here: what is said of a feature, and how it is built. What must not: other features (see `_catalog`).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from remora._extensions._faults import is_interruption, told
from remora._frozen import dataclass
from remora.errors import ConfigError, ExtensionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class Named(Protocol):
    """
    The attributes that all specs share.
    """

    @property
    def name(self) -> str:
        """
        Its name, unique within its kind.
        """
        ...

    @property
    def build(self) -> Callable[..., Any]:
        """
        Builds the feature.
        """
        ...


Spec = TypeVar("Spec", bound=Named)


class Origin:
    """
    The distribution that a feature comes from.

    Args:
        entry_point: The name of the entry point.
        read: Returns the name and the version of the distribution; called on demand, since metadata is slow to read.
    """

    def __init__(self, entry_point: str, read: Callable[[], tuple[str, str]]) -> None:
        self.entry_point = entry_point
        self._read = read

    @cached_property
    def _said(self) -> tuple[str, str]:
        return self._read()

    @property
    def distribution(self) -> str:
        """
        The name of the distribution.
        """
        return self._said[0]

    @property
    def version(self) -> str:
        """
        Its version; may be empty.
        """
        return self._said[1]

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}".strip()


@dataclass(frozen=True, slots=True)
class Feature(Generic[Spec]):
    """
    A spec and its origin.
    """

    spec: Spec
    origin: Origin

    def named(self, kind: str) -> str:
        """
        Its name for messages.
        """
        return f"the {kind} {self.spec.name!r} of {self.origin}"

    def build_with(self, names: Iterable[str], kind: str, *arguments: object) -> Any:
        """
        The same as `build`, for what is to have these attributes.

        Raises:
            ExtensionError: Its builder failed, or made something that lacks one of them.
        """
        built = self.build(kind, *arguments)
        if missing := [each for each in names if not hasattr(built, each)]:
            raise ExtensionError(f"{self.named(kind)} cannot be used: {built!r} has no {', '.join(missing)}")
        return built

    def build(self, kind: str, *arguments: object, by: str = "build", where: str = "") -> Any:
        """
        The feature itself.

        Args:
            kind: Its kind, for messages.
            *arguments: What its builder gets.
            by: The name of the spec's callable that builds it.
            where: The path of the table that the arguments come from, for messages; empty for none.

        Raises:
            ConfigError: Its builder rejects the arguments, and says why.
            ExtensionError: Its builder failed.
        """
        try:
            return getattr(self.spec, by)(*arguments)
        except ExtensionError:
            raise
        except ConfigError as error:
            if where:
                raise ConfigError(f"{where}: {error.message}") from error
            raise
        except BaseException as error:  # a builder of an extension may raise anything, and `sys.exit` does
            if is_interruption(error):
                raise
            raise ExtensionError(f"{self.named(kind)} cannot be built: {told(error)}") from error
