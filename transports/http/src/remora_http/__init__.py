"""remora_http"""
