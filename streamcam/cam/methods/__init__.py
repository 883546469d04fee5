"""The methods: pure functions, in one table."""

from streamcam.cam.methods.table import METHODS, Method, method_call, parse_method

__all__ = ["METHODS", "Method", "method_call", "parse_method"]
