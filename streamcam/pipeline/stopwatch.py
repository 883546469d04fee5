"""Adding up how long a stage works, apart from how long it waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import ParamSpec, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


class Stopwatch:
    """Adds up the time of what goes through it. Belongs to one thread; any may read it.

    Attributes:
        elapsed_s: The time so far, in seconds.
    """

    def __init__(self) -> None:
        """Start at zero."""
        self.elapsed_s = 0.0

    def items(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the same items, and add the time in which each is made."""
        source = iter(items)
        while True:
            began_s = time.perf_counter()
            try:
                item = next(source)
            except StopIteration:
                return
            finally:
                self.elapsed_s += time.perf_counter() - began_s
            yield item

    def timed(self, function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
        """Return the same function, of which each call adds its time."""

        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
            began_s = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.elapsed_s += time.perf_counter() - began_s

        return call
