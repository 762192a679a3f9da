"""
Programs that measure. They are no tests: what they print depends on the machine, so peers run side by side.
"""
