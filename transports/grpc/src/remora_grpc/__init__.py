"""
The transport `grpc`: plugins over gRPC. It is reached through its entry point, `remora_grpc.plugin`.
"""
