"""remora_cli"""
