"""
Write the table of docs/metrics.md from the table of built-in metrics.

    python tools/metrics_page.py             write it
    python tools/metrics_page.py --check     fail if it is not up to date
"""

from __future__ import annotations

from pages import main, table
from remora._telemetry._metric_table import BUILT_IN


def built_in() -> str:
    """
    A table of the metrics that every manager has.
    """
    rows = [[f"`{each.name}`", str(each.kind), ", ".join(each.labels), each.description] for each in BUILT_IN]
    return table(["metric", "kind", "labels", "meaning"], rows)


if __name__ == "__main__":
    main("docs/metrics.md", {"built-in": built_in()})
