"""
A client made of grpcio and the generated messages alone.
"""

import grpc
from calculator_pb2 import Operands, Result

with grpc.insecure_channel("127.0.0.1:50051") as channel:
    divide = channel.unary_unary(
        "/calculator.v1.Calculator/Divide",
        request_serializer=Operands.SerializeToString,
        response_deserializer=Result.FromString,
    )
    print(f"20 / 8 = {divide(Operands(left=20, right=8), timeout=5).value:g}")
    try:
        divide(Operands(left=1, right=0), timeout=5)
    except grpc.RpcError as error:
        print(f"1 / 0 : {error.code()}: {error.details()}")
