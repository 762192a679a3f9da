"""
Programs as processes: how they are started, by whom they are kept, and how all of them end.
"""
