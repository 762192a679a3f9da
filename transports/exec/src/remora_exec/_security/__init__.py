"""
Which programs may be started, and what is known about their files.
"""
