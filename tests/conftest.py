"""What tests of every room share."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from programs import require_programs

if TYPE_CHECKING:
    from screens import Screen

# The networks here are small: on a machine of few cores, torch's threads spend their time waiting for each
# other, and tests take ten times as long. Set before torch is imported, and inherited by child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder with real footage; skips where there is none."""
    folder = Path(os.environ.get("STREAMCAM_REAL_MEDIA", _BESIDE_THE_REPOSITORY))
    if not folder.is_dir():
        pytest.skip("no real footage beside the repository, and STREAMCAM_REAL_MEDIA names none")
    return folder


@pytest.fixture(scope="module")
def screen() -> Iterator[Screen]:
    """An X server of its own for the tests of one module."""
    require_programs("Xvfb", "xdotool", "ffmpeg")
    from screens import Screen  # only now: few tests need it

    screen = Screen()
    yield screen
    screen.close()


@pytest.fixture
def _no_garbage_collection() -> Iterator[None]:
    """What refers to itself stays in memory during the test."""
    gc.disable()
    yield
    gc.enable()
