"""
Plugins as child processes. Everything here is used through the transport `exec`; see `remora_exec.plugin`.
"""
