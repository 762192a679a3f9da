"""
MessagePack and Protocol Buffers payloads for Remora.
"""

__all__: list[str] = []
