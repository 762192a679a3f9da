"""
Authentication methods for Remora: API keys, bearer tokens, basic, mutual TLS, and what you make yourself.
"""

__all__: list[str] = []
