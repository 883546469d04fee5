"""What every test of the explainer needs."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep converted networks away from the user's own cache."""
    folder = tmp_path_factory.getbasetemp() / "streamcam-cache"
    monkeypatch.setenv("STREAMCAM_CACHE", str(folder))
    return folder
