"""
Serves the contract's service at the address that the host sets.
"""

from remora.serve import serve
from remora.testing._contract import Contract

serve(Contract())
