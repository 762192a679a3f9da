"""
`python -m benchmarks run` measures all pairs; see `docs/performance.md`.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":  # the processes of contenders import this module, too, and nothing that they do not need
    from benchmarks.run import main

    if sys.argv[1:2] != ["run"]:
        sys.exit("usage: python -m benchmarks run [--only FAMILY] [--quick]")
    sys.exit(main(sys.argv[2:]))
