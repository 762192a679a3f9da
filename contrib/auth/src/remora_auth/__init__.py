"""
Authentication methods for Remora: API keys, bearer tokens, names with passwords, mutual TLS, and custom ones.
"""

__all__: list[str] = []
