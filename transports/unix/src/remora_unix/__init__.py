"""remora_unix"""
