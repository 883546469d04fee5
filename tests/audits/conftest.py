"""What every test of audits needs."""

from __future__ import annotations

from pathlib import Path

import pytest
from color_networks import save_thing


@pytest.fixture
def things(tmp_path: Path) -> Path:
    """A folder of three images of a red square on green, a frame each."""
    folder = tmp_path / "things"
    folder.mkdir()
    for number in range(3):
        save_thing(folder / f"{number}.png")
    return folder
