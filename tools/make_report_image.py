"""Make media/report.jpg: the report on media/sample.mp4, in a browser.

    python tools/make_report_image.py

Needs the extra `test`, and Debian's Chromium.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsers import open_chromium, open_tab  # noqa: E402

from streamcam.cli import run  # noqa: E402

SIZE = (1100, 930)
WIDTH = 960
MOMENT_S = 5.5
SETTLED_MS = 2_000


def main() -> None:
    """Write the image."""
    sample = ROOT / "media" / "sample.mp4"
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        if run(["report", str(sample), "-o", str(page), "--boxes", "--quiet"]):
            raise SystemExit("the report failed")
        settings = {"viewport": {"width": SIZE[0], "height": SIZE[1]}, "bypass_csp": True}
        with open_chromium() as chromium, open_tab(chromium, **settings) as (tab, _):
            tab.goto(page.as_uri())
            tab.wait_for_selector("#screen.plays")
            tab.evaluate(f"document.getElementById('player').currentTime = {MOMENT_S}")
            tab.locator("#timeline-title").evaluate("title => title.scrollIntoView()")
            tab.wait_for_timeout(SETTLED_MS)
            shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    height = round(WIDTH * shot.height / shot.width)
    shot = shot.resize((WIDTH, height), Image.Resampling.LANCZOS)
    shot.save(ROOT / "media" / "report.jpg", quality=82, optimize=True)
    print("wrote media/report.jpg")


if __name__ == "__main__":
    main()
