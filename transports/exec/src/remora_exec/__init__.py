"""
Plugins as child processes. Everything here is reached through the transport `exec`; see `remora_exec.plugin`.
"""
