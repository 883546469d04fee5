"""Make media/page.jpg: the page of a live session on a laptop, and on a phone that lends its camera.

    python tools/make_page_image.py

Needs the extra `test`, and Debian's Chromium, whose fake camera plays media/cat.jpg.
"""

from __future__ import annotations

import io
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsers import open_chromium, open_tab  # noqa: E402

from streamcam.session.explainers import Explainers, build_from_model  # noqa: E402
from streamcam.session.page.page import Page  # noqa: E402
from streamcam.session.session import LiveSession  # noqa: E402
from streamcam.session.settings import PageSettings  # noqa: E402
from streamcam.sources import LentCamera, Source, SourceSettings, open_source  # noqa: E402

HEIGHT = 560
GAP = 24
PATIENCE_MS = 60_000
SETTLED_MS = 15_000


@contextmanager
def session(source: Source) -> Iterator[Page]:
    """Run a session with a page, and the default network."""
    page = Page(PageSettings(port=0), {"browser": source} if isinstance(source, LentCamera) else None)
    live = LiveSession(source, Explainers(build_from_model({})), [page])
    thread = threading.Thread(target=live.run)
    thread.start()
    try:
        yield page
    finally:
        live.stop()
        thread.join()


def film_cat(path: Path) -> None:
    """Write what the fake camera plays."""
    pixels = np.asarray(Image.open(ROOT / "media" / "cat.jpg").convert("RGB").resize((640, 480)))
    with av.open(str(path), "w", format="mjpeg") as video:
        stream = video.add_stream("mjpeg", rate=15, options={"q:v": "3"})
        stream.width, stream.height, stream.pix_fmt = 640, 480, "yuvj420p"
        for _ in range(30):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        video.mux(stream.encode(None))


def photograph(link: str, width: int, height: int, *arguments: str, lends: bool = False) -> Image.Image:
    """Open a link, and return what the browser shows."""
    settings = {"viewport": {"width": width, "height": height}, "locale": "en", "color_scheme": "dark"}
    with open_chromium(*arguments) as chromium, open_tab(chromium, **settings) as (tab, _):
        tab.goto(link)
        if lends:
            tab.click("#lend")
        tab.locator("#predictions li.explained").wait_for(timeout=PATIENCE_MS)
        tab.wait_for_timeout(SETTLED_MS)
        shot = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    return shot.resize((round(shot.width * HEIGHT / shot.height), HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Write the image."""
    sample = ROOT / "media" / "sample.mp4"
    with session(open_source(sample, SourceSettings(real_time=True, loop=True))) as page:
        laptop = photograph(page.links["control"], 1280, 800)
    with tempfile.TemporaryDirectory() as folder:
        camera = Path(folder) / "camera.mjpeg"
        film_cat(camera)
        fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
        with session(LentCamera()) as page:
            link = page.links["camera"]
            phone = photograph(
                link, 390, 800, *fake, f"--use-file-for-fake-video-capture={camera}", lends=True
            )
    both = Image.new("RGB", (laptop.width + GAP + phone.width, HEIGHT), "white")
    both.paste(laptop, (0, 0))
    both.paste(phone, (laptop.width + GAP, 0))
    both.save(ROOT / "media" / "page.jpg", quality=85, optimize=True)
    print("wrote media/page.jpg")


if __name__ == "__main__":
    main()
