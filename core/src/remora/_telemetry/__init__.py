"""
What a manager tells about itself: its metrics, its events, and who exports them.
"""
