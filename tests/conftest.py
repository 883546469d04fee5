"""What tests of every room share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE_THE_REPOSITORY = Path(__file__).parents[2] / "shared" / "media"


@pytest.fixture(scope="session")
def real_media() -> Path:
    """The folder with real footage; skips where there is none."""
    folder = Path(os.environ.get("STREAMCAM_REAL_MEDIA", _BESIDE_THE_REPOSITORY))
    if not folder.is_dir():
        pytest.skip("no real footage beside the repository, and STREAMCAM_REAL_MEDIA names none")
    return folder
