"""The methods: pure functions, in one table."""

from streamcam.explain.methods.table import HEAD_ONLY, METHODS, PASSES, Method, method_call, parse_method

__all__ = ["HEAD_ONLY", "METHODS", "PASSES", "Method", "method_call", "parse_method"]
