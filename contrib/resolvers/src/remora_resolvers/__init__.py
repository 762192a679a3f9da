"""
Where the endpoints of Remora plugins come from: files and DNS.
"""
