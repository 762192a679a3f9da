"""
The calls of one plugin, from a record to its answer: the stages, and the state that they look at.
"""
