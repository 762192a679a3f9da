"""
What `remora demo` runs: a plugin, the processes that serve it, a host that calls it.
"""
