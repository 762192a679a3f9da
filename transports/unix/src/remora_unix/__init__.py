"""
The transport `unix`: ttrpc over Unix sockets. Its way in is the entry point, `remora_unix.plugin`.
"""
