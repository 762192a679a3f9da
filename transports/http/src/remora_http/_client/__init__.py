"""
Calling plugins over HTTP: the channel of a host and its two engines.
"""
