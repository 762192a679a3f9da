"""
The transport `tcp`: ttrpc over TCP, as a stranger would write it.
"""
