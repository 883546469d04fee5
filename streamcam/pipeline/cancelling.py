"""Cancelling explainers that work long on a batch, where nobody waits for it any more."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol, runtime_checkable


@runtime_checkable
class CancellableExplainer(Protocol):
    """An explainer that can end in the middle of a batch; `streamcam.Explainer` is one."""

    def cancelled_by(self, is_cancelled: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """Raise `CancelledError` in the context soon after this returns true; called in the same thread."""


def cancelled_by(
    explainer: object, is_cancelled: Callable[[], bool]
) -> contextlib.AbstractContextManager[None]:
    """Let an explainer end in the middle of a batch inside of a context, if it can.

    Args:
        explainer: Explains frames.
        is_cancelled: Returns whether nobody waits for explanations any more.
    """
    if isinstance(explainer, CancellableExplainer):
        return explainer.cancelled_by(is_cancelled)
    return contextlib.nullcontext()
