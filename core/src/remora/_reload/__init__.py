"""
How a running manager changes: by another configuration, by other files, by other endpoints.
"""
