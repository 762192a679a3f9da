"""
A plugin that measures: it answers with readings of a thermometer that is not there.
"""

import math
from dataclasses import dataclass

from remora import idempotent, serve, service


@dataclass(frozen=True, slots=True)
class Hour:
    hour: int


@dataclass(frozen=True, slots=True)
class Reading:
    hour: int
    celsius: float


@service("weather.v1.Thermometer")
class Thermometer:
    """
    Measures the temperature of the sea.
    """

    @idempotent
    async def read(self, request: Hour) -> Reading:
        """
        The temperature at an hour of the day.
        """
        return Reading(request.hour, round(18 - 4 * math.cos(request.hour / 24 * math.tau), 1))


if __name__ == "__main__":
    serve(Thermometer())
