"""The description of an explainer, for the files that are made with it."""

from __future__ import annotations

from typing import Any


class DescribedExplainer:
    """An explainer of one network by one method, as torch and compiled graphs run it.

    Attributes:
        model: The model.
        method: Name of the method.
        target_layer: Dotted name of the layer that the maps are made of; several are joined by ``+``.
        fit: How frames are fitted into the network's input.
    """

    model: Any  # has a name and weights, whatever runs it
    method: str
    target_layer: str
    fit: str

    def describe(self) -> dict[str, Any]:
        """Describe the network and the method for files that are made with them, as plain values."""
        return {
            "model": self.model.name,
            "weights": self.model.weights,
            "method": self.method,
            "target_layer": self.target_layer or None,
            "fit": self.fit,
        }
