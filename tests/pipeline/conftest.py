"""Every test here runs against the clock and leaves no thread behind."""

from thread_guard import _no_thread_is_left, pytest_pyfunc_call

__all__ = ["_no_thread_is_left", "pytest_pyfunc_call"]
