"""acme_remora_loopback"""
