"""
The transport `tcp`: ttrpc over TCP, as a third party would write it.
"""
