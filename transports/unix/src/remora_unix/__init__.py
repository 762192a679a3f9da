"""
The transport `unix`: ttrpc over Unix sockets. It is reached through its entry point, `remora_unix.plugin`.
"""
