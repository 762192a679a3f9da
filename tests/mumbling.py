"""
A plugin whose error has half of a surrogate pair in its text, which JSON may carry, and UTF-8 may not.
"""

from __future__ import annotations

import sys

_PROGRAM = r"""
import json, sys
for line in sys.stdin:
    error = {"code": "INTERNAL", "message": "half of \ud83d"}
    print(json.dumps({"id": json.loads(line)["id"], "error": error}), flush=True)
"""

MUMBLING = {"endpoint": f"exec:{sys.executable}", "args": ["-c", _PROGRAM], "protocol": "jsonl", "method": "ask"}
"""Its table in a configuration."""
