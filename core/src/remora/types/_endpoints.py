"""
Where a plugin can be reached.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from remora._frozen import dataclass
from remora._hidden import discreet


@discreet
@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    One address at which a plugin can be reached.

    Attributes:
        url: The address; its scheme chooses the transport.
        weight: The share of traffic, relative to the weights of other endpoints of the same priority; 0 for none.
        priority: The highest number is preferred.
        labels: Free text for operators and extensions; Remora does nothing with it.
    """

    url: str
    weight: int = 100
    priority: int = 1
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def scheme(self) -> str:
        """
        What stands before the first colon, in lower case.
        """
        return self.url.partition(":")[0].lower()

    @property
    def address(self) -> str:
        """
        What stands after the scheme, without the two slashes of a URL.
        """
        return self.url.partition(":")[2].removeprefix("//")
