"""Gradients through networks that turn them off themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class ForcedGradMode(TorchFunctionMode):
    """Run every operation with gradients on or off, whatever the network's own contexts say.

    Networks run their backbone under `torch.no_grad`, to freeze it, or their forward under
    `torch.inference_mode`. While this mode is entered, neither has any effect.

    Attributes:
        enabled: Whether operations record gradients from now on.
    """

    def __init__(self, *, enabled: bool) -> None:
        """Choose the mode to start with.

        Args:
            enabled: Whether operations record gradients.
        """
        super().__init__()
        self.enabled = enabled

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Run one operation."""
        with torch.inference_mode(False), torch.set_grad_enabled(self.enabled):
            return func(*args, **(kwargs or {}))
