"""
The calculator of `calculator.proto`.
"""

from calculator_pb2 import Operands, Result

from remora import Code, PluginError, idempotent, method, service


@service("calculator.v1.Calculator", version="1.0.0")
class Calculator:
    """
    Calculates with two operands.
    """

    @idempotent
    @method("Add")
    async def add(self, request: Operands) -> Result:
        """
        The sum.
        """
        return Result(value=request.left + request.right)

    @idempotent
    @method("Multiply")
    async def multiply(self, request: Operands) -> Result:
        """
        The product.
        """
        return Result(value=request.left * request.right)

    @idempotent
    @method("Divide")
    async def divide(self, request: Operands) -> Result:
        """
        The quotient.
        """
        if request.right == 0:
            raise PluginError("cannot divide by zero", code=Code.INVALID_ARGUMENT)
        return Result(value=request.left / request.right)
