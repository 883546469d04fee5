"""Windows of OpenCV beside PyAV, whichever was imported first."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from media_factory import make_clip
from screens import Screen
from stage_fakes import LIMIT_S

PROGRAM = """
import cv2, streamcam
from stage_fakes import FakeExplainer

shown = 0
with streamcam.stream("clip.mp4", FakeExplainer()) as running:
    for frame, explanation in running:
        cv2.imshow("mine", frame.image.to_ndarray(format="bgr24"))
        cv2.pollKey()
        shown += 1
cv2.destroyAllWindows()
print(shown)
"""


@pytest.mark.parametrize("first", ["av", "cv2", "av, cv2", "cv2, av", "streamcam"])
def test_a_window_of_the_callers_own_opens(first: str, screen: Screen, tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=4)
    done = subprocess.run(
        [sys.executable, "-c", f"import {first}\n{PROGRAM}"],
        cwd=tmp_path,
        env={**screen.environment, "QT_LOGGING_RULES": "*=false"},
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "4\n", "")
