"""What tests of models share."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable

import pytest
from torch import nn


@pytest.fixture
def factory(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], nn.Module]], str]:
    """Returns what ``load_model`` calls a function that makes a network."""
    module = types.ModuleType("own_networks")
    monkeypatch.setitem(sys.modules, "own_networks", module)

    def name(make: Callable[[], nn.Module]) -> str:
        module.make = make  # type: ignore[attr-defined]
        return "own_networks:make"

    return name
