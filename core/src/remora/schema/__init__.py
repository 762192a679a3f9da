"""
What a service looks like from outside, and whether a newer one still serves the callers of an older one.
"""

from remora.schema._comparison import Change, compare
from remora.schema._description import describe, load_description

__all__ = ["Change", "compare", "describe", "load_description"]
