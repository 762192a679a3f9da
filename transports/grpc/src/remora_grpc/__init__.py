"""remora_grpc"""
