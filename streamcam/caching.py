"""Caches of what methods return, which are freed with the object they belong to."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def cached_method(maxsize: int) -> Callable[[Method], Method]:
    """Cache what a method returned for its last arguments, in the object itself. Not thread-safe.

    With `functools.lru_cache` over a bound method the object and its cache refer to each other. Their memory
    then waits for the garbage collector, which counts objects and not bytes.

    Args:
        maxsize: How many results are kept for each object; the least recently used are dropped.

    Returns:
        A decorator for methods that take hashable positional arguments.
    """

    def decorate(method: Method) -> Method:
        name = f"_results_of_{method.__name__}"

        @functools.wraps(method)
        def cached(self: Any, *arguments: Any) -> Any:
            results: OrderedDict[tuple[Any, ...], Any] = vars(self).setdefault(name, OrderedDict())
            if arguments in results:
                results.move_to_end(arguments)
                return results[arguments]
            result = results[arguments] = method(self, *arguments)
            if len(results) > maxsize:
                results.popitem(last=False)
            return result

        return cached  # type: ignore[return-value]

    return decorate
