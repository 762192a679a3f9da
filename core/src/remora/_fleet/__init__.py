"""
The plugins of a manager while they run: what they are made of, and who opens, keeps and closes their instances.
"""
