"""Make the image of the live window in the README from the sample clip; needs Xvfb, xdotool and ffmpeg.

python tools/make_live_image.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))

from screens import Screen, Shown  # noqa: E402


def main() -> None:
    """Open the window, press i for the statistics, and take a screenshot while the cat is shown."""
    screen = Screen()
    try:
        command = ["-m", "streamcam", "live", str(ROOT / "media" / "sample.mp4"), "--loop"]
        with Shown(screen, command, ROOT) as shown:
            time.sleep(11.0)  # the network is loaded, and the clip has begun again
            shown.press("i")
            time.sleep(1.0)
            Image.fromarray(shown.pixels).save(ROOT / "media" / "live.jpg", quality=88)
    finally:
        screen.close()
    print("wrote media/live.jpg")


if __name__ == "__main__":
    main()
