"""
Answers in JSON.
"""

from __future__ import annotations

import json

from starlette.responses import JSONResponse


class Json(JSONResponse):
    """
    JSON in ASCII: a plugin's words may have half of a surrogate pair in them, which nothing but an escape can write.
    """

    def render(self, content: object) -> bytes:
        """
        The bytes of a value.
        """
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
