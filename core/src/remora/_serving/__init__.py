"""
The plugin's side of a call: who may call, which handler answers, and how.
"""
