"""A new kind of source is reachable from the command line by its row in the table."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_factory import frame_times_of
from toy_source import TOY

from streamcam.cli import run
from streamcam.sources import SOURCES


@pytest.mark.usefixtures("explainers")
def test_a_toy_source_is_rendered(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SOURCES, "toy", TOY)
    assert run(["render", "toy:red", "-o", "out.mp4"]) == 0, capfd.readouterr().err
    assert len(frame_times_of(work / "out.mp4")) == 5
    assert run(["render", "toy:red", "-o", "again.mp4", "--start", "1"]) == 2
    assert "'toy:red' is a toy; leave out --start" in capfd.readouterr().err
