"""What tests of every room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
