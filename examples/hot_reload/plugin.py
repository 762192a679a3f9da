"""
A plugin whose answers tell its version.
"""

import sys

from attrs import frozen

from remora import serve


@frozen
class Ask:
    number: int


@frozen
class Answer:
    number: int
    version: str


class Counter:
    """
    The number, and who gives it.
    """

    async def count(self, request: Ask) -> Answer:
        """
        The number again.
        """
        return Answer(request.number, VERSION)


VERSION = next((each.partition("=")[2] for each in sys.argv if each.startswith("--version=")), "0")

if __name__ == "__main__":
    serve(Counter(), listen="stdio:")
