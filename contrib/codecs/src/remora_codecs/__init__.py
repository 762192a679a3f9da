"""remora_codecs"""
