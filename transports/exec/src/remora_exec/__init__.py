"""remora_exec"""
