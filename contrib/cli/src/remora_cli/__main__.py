"""
`python -m remora_cli` does what `remora` does.
"""

from __future__ import annotations

import sys

from remora_cli import main

if __name__ == "__main__":
    sys.exit(main())
