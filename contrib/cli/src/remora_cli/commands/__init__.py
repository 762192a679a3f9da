"""
The built-in commands, one in each module, as the attribute `command`.
"""
