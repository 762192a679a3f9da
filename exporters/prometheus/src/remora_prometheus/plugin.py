"""
What this distribution adds to Remora.
"""
