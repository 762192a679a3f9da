"""
Benchmarks. They are not tests: their figures depend on the machine, so peers are measured side by side.
"""
