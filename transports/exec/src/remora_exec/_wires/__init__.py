"""
What goes over the pipes of a program, on both sides, while it runs.
"""

PROTOCOLS = ("ttrpc", "jsonl", "oneshot")
