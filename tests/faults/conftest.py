"""What every fault must leave as it was: threads, descriptors and the input."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from stage_fakes import FakeExplainer, fake_modules


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("STREAMCAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def explainers(monkeypatch: pytest.MonkeyPatch) -> dict[str, FakeExplainer]:
    """What the command line takes for its explainer; a test may put another one in."""
    built = {"explainer": FakeExplainer()}
    for name, module in fake_modules(lambda *_, **__: built["explainer"]).items():
        monkeypatch.setitem(sys.modules, name, module)
    return built


def descriptors() -> dict[str, str]:
    """Every open descriptor of this process, and what it leads to."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except OSError:  # the one that this list is read through
            continue
    return found


@pytest.fixture
def _nothing_is_left_running() -> Iterator[None]:
    before = set(threading.enumerate())
    opened = descriptors() if sys.platform == "linux" else {}
    yield
    assert set(threading.enumerate()) - before == set()
    if sys.platform == "linux":
        assert set(descriptors().values()) - set(opened.values()) == set()
