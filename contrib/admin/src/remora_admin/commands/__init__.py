"""
The commands that this distribution adds, each in a module that is imported when it is used.
"""
