"""
The same API for programs without `async`: scripts, Django, notebooks, threads.

    from remora import sync

    with sync.Manager.from_file("remora.toml") as manager:
        print(manager.execute("text", Text("hello"), Text, method="upper"))
"""

from remora.sync._events import Events
from remora.sync._manager import Manager
from remora.sync._plugin import Plugin

__all__ = ["Events", "Manager", "Plugin"]
