"""Measure the page of a live session: delay, work for its viewers, many of them, and their coming and going.

python benchmarks/page.py delay [--seconds 20]          # from a frame to its pixels in Chromium
python benchmarks/page.py camera [--seconds 20]         # from a lent camera and back onto the same page
python benchmarks/page.py viewers [--viewers 20]        # the processor's time for viewers
python benchmarks/page.py churn [--minutes 3] [--rate 5]  # memory while viewers come and go every 5 s

A clock is in the picture, 720p at 30 frames per second unless another rate is named: milliseconds as black
and white bars, which a script in the page reads back from what is shown. The default network
explains frames as always. Ways that images travel take turns, `--rounds` times. Needs the extra `test`, and
Debian's Chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from browsers import open_chromium, open_tab  # noqa: E402

from streamcam.frames import Frame, SourceInfo, SourceReport  # noqa: E402
from streamcam.media.images import planes_of  # noqa: E402
from streamcam.session.explainers import Explainers, build_from_model  # noqa: E402
from streamcam.session.page.page import Page  # noqa: E402
from streamcam.session.session import LiveSession  # noqa: E402
from streamcam.session.settings import PageSettings  # noqa: E402
from streamcam.sources import LentCamera, Source  # noqa: E402

SIZE = (1280, 720)
RATE = 30
TIME_BASE = Fraction(1, 90_000)
BITS = 20
BAR = SIZE[0] // (2 * BITS)
FILES = Path("/proc/self/fd")
KEY = "benchmarkbenchmark"
WARM_UP_S = 8.0
TRANSPORTS = ("mjpeg", "webrtc")
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")

READER = """
(() => {
  const [bits, bar, width, height] = [BITS, BAR, WIDTH, HEIGHT];
  const canvas = Object.assign(document.createElement("canvas"), { width: 2 * bits, height: 1 });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  window.delays = [];
  let last = -1;
  function look() {
    const shown = document.querySelector("video:not([hidden]), #image:not([hidden])");
    const w = shown?.videoWidth ?? shown?.naturalWidth ?? 0;
    const h = shown?.videoHeight ?? shown?.naturalHeight ?? 0;
    if (w) {
      const row = Math.round(h * (1 - 8 / height)) - 1;
      context.drawImage(shown, 0, row - 2, w, 3, 0, 0, 2 * bits, 1);
      const data = context.getImageData(0, 0, 2 * bits, 1).data;
      let value = 0;
      for (let bit = 0; bit < bits; bit++) value = 2 * value + Number(data[8 * bit + 1] > data[8 * bit + 5]);
      if (value !== last) {
        last = value;
        window.delays.push(((Date.now() % 2 ** bits) - value + 2 ** bits) % 2 ** bits);
      }
    }
    requestAnimationFrame(look);
  }
  requestAnimationFrame(look);
})();
"""

PAINTED_CAMERA = """
(() => {
  const [bits, bar, width, height] = [BITS, BAR, WIDTH, HEIGHT];
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d");
  setInterval(() => {
    const value = Date.now() % 2 ** bits;
    context.fillStyle = `hsl(${value / 30 % 360} 40% 50%)`;
    context.fillRect(0, 0, width, height);
    for (let bit = 0; bit < bits; bit++) {
      const on = Math.floor(value / 2 ** (bits - 1 - bit)) % 2;
      context.fillStyle = on ? "#fff" : "#000";
      context.fillRect(2 * bit * bar, height - 48, bar, 48);
      context.fillStyle = on ? "#000" : "#fff";
      context.fillRect((2 * bit + 1) * bar, height - 48, bar, 48);
    }
  }, 1000 / RATE);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(RATE);
})();
"""

CLIENTS = """
import http.client, sys, threading, time
port, cookie, count, seconds = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
shown = [0] * count
def watch(index):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("GET", "/images", headers={"Cookie": cookie})
    answer = connection.getresponse()
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        while not (line := answer.readline()).startswith(b"Content-Length"):
            pass
        answer.readline()
        answer.read(int(line.split()[1]))
        shown[index] += 1
threads = [threading.Thread(target=watch, args=(index,)) for index in range(count)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(*[f"{each / seconds:.2f}" for each in shown])
"""
"""Viewers of JPEGs, without a browser's work."""


class ClockSource(Source):
    """A camera that films a clock: bars at the lower edge, over a photograph."""

    is_live = True
    count = 0
    """How many frames there were."""

    def __init__(self, rate: int = RATE) -> None:
        super().__init__()
        self.rate = rate
        """Frames per second."""

    @property
    def info(self) -> SourceInfo:
        """Description of the source."""
        return SourceInfo("clock", None, *SIZE, time_base=TIME_BASE, rate=Fraction(self.rate))

    def __iter__(self) -> Iterator[Frame]:
        """Yield a frame whenever one is due, and leave out those that are late."""
        with av.open(str(ROOT / "media" / "cat.jpg")) as photograph:
            (still,) = photograph.decode(video=0)
        still = still.reformat(*SIZE, format="yuv420p", dst_color_range="MPEG")
        began_s, index = time.monotonic(), 0
        while not self.stop_flag.is_set():
            index = max(index + 1, int((time.monotonic() - began_s) * self.rate))
            self.stop_flag.wait(max(0.0, began_s + index / self.rate - time.monotonic()))
            image = av.VideoFrame(*SIZE, "yuv420p")
            for target, plane in zip(planes_of(image), planes_of(still), strict=True):
                target[:] = plane
            value = int(time.time() * 1000) % 2**BITS
            bits = [value >> place & 1 for place in reversed(range(BITS))]
            row = np.repeat([level for bit in bits for level in ((235, 16) if bit else (16, 235))], BAR)
            planes_of(image)[0][-48:, : row.size] = row
            for plane in planes_of(image)[1:]:
                plane[-24:] = 128
            self.count += 1
            yield Frame(image, index, index * 90_000 // self.rate, TIME_BASE, time.monotonic())

    def report(self) -> SourceReport:
        """Return nothing of interest."""
        return SourceReport(frames_read=0)


@contextlib.contextmanager
def serving(source: Source, transport: str) -> Iterator[Page]:
    """Run a session with a page and the default network."""
    cameras = {"browser": source} if isinstance(source, LentCamera) else None
    page = Page(PageSettings(port=0, key=KEY, transport=transport), cameras)
    session = LiveSession(source, Explainers(build_from_model({})), [page])
    thread = threading.Thread(target=session.run)
    thread.start()
    try:
        yield page
    finally:
        session.stop()
        thread.join()


def sized(script: str) -> str:
    """Return a script with the sizes of this benchmark."""
    names = {"BITS": BITS, "BAR": BAR, "WIDTH": SIZE[0], "HEIGHT": SIZE[1], "RATE": RATE}
    for name, value in names.items():
        script = script.replace(name, str(value))
    return script


def wait_for_images(tab: Any) -> None:
    """Wait until the page shows images and what the network sees."""
    tab.locator("#predictions li").first.wait_for(timeout=90_000)
    tab.locator("#video:visible, #image:visible").wait_for(timeout=90_000)


def delays_of(transport: str, seconds: float, *, lends: bool) -> list[float]:
    """Return the delay of each frame that a page showed, in milliseconds."""
    source = LentCamera() if lends else ClockSource()
    with (
        serving(source, transport) as page,
        open_chromium(*(FAKE_CAMERA if lends else ())) as chromium,
        open_tab(chromium, viewport={"width": 1280, "height": 800}) as (tab, _),
    ):
        tab.add_init_script(sized(READER))
        if lends:
            tab.add_init_script(sized(PAINTED_CAMERA))
        tab.goto(page.links["camera" if lends else "control"])
        if lends:
            tab.click("#lend")
        wait_for_images(tab)
        time.sleep(WARM_UP_S)
        tab.evaluate("delays.length = 0")
        time.sleep(seconds)
        return [each for each in tab.evaluate("delays") if each < 10_000]  # others are torn between two


def measure_delay(arguments: argparse.Namespace, *, lends: bool) -> None:
    """Print the delay of each way that images travel."""
    for number in range(arguments.rounds):
        for transport in arguments.transport or TRANSPORTS:
            delays = delays_of(transport, arguments.seconds, lends=lends)
            quantiles, third = statistics.quantiles(delays, n=20), len(delays) // 3
            print(
                f"round {number + 1} {transport}: median {statistics.median(delays):.0f} ms (first third "
                f"{statistics.median(delays[:third]):.0f}, last {statistics.median(delays[-third:]):.0f}), "
                f"5th to 95th percentile {quantiles[0]:.0f} to {quantiles[-1]:.0f} ms, "
                f"{len(delays) / arguments.seconds:.1f} frames/s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def work_per_frame(source: ClockSource, seconds: float) -> float:
    """Return the processor's time that this process takes for a frame, in milliseconds."""
    frames, worked_s = source.count, time.process_time()
    time.sleep(seconds)
    return 1000 * (time.process_time() - worked_s) / max(1, source.count - frames)


def cookie_of(page: Page) -> str:
    """Enter the page as a browser does."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", page.port)
    own = f"http://127.0.0.1:{page.port}"
    connection.request("POST", "/session", KEY, {"Origin": own})
    return (connection.getresponse().headers["Set-Cookie"] or "").partition(";")[0]


def measure_viewers(arguments: argparse.Namespace) -> None:
    """Print the work of the session's process without viewers, and with some of each kind."""
    seconds, count = arguments.seconds, arguments.viewers
    for number in range(arguments.rounds):
        source = ClockSource()
        with serving(source, "mjpeg") as page:
            time.sleep(WARM_UP_S)
            works = [work_per_frame(source, seconds)]
            for viewers in (1, count):
                asked = [sys.executable, "-c", CLIENTS, str(page.port), cookie_of(page), str(viewers)]
                with subprocess.Popen(
                    [*asked, str(seconds + 2)], stdout=subprocess.PIPE, text=True
                ) as clients:
                    time.sleep(1)
                    works.append(work_per_frame(source, seconds))
                    assert clients.stdout is not None
                    rates = [float(each) for each in clients.stdout.read().split()]
            print(
                f"round {number + 1} mjpeg: {works[0]:.1f} ms a frame without viewers, {works[1]:.1f} "
                f"with 1, {works[2]:.1f} with {count}, which were shown {min(rates):.1f} to "
                f"{max(rates):.1f} frames/s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
        source = ClockSource()
        with serving(source, "webrtc") as page, open_chromium() as chromium:
            time.sleep(WARM_UP_S)
            works = [work_per_frame(source, seconds)]
            with contextlib.ExitStack() as tabs:
                for viewers in (1, 4):
                    while page.counts()["viewers"] < viewers:
                        tab, _ = tabs.enter_context(open_tab(chromium))
                        tab.goto(page.links["view"])
                        wait_for_images(tab)
                    works.append(work_per_frame(source, seconds))
            print(
                f"round {number + 1} webrtc: {works[0]:.1f} ms a frame without viewers, {works[1]:.1f} "
                f"with 1, {works[2]:.1f} with 4, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


def measure_churn(arguments: argparse.Namespace) -> None:
    """Print memory, threads and open files while browsers come and go every five seconds."""
    with serving(ClockSource(arguments.rate), "webrtc") as page:
        visiting = [sys.executable, __file__, "visits", page.links["control"], str(60 * arguments.minutes)]
        began_s = time.monotonic()
        # In a process of its own: a browser's client needs memory, too.
        with subprocess.Popen(visiting, stdout=subprocess.PIPE, text=True) as browser:
            assert browser.stdout is not None
            for line in browser.stdout:  # one for every visit
                if int(line) % 6 == 0:
                    print(
                        f"{(time.monotonic() - began_s) / 60:.1f} min: {line.strip()} came, "
                        f"{resident_mb():.1f} MB, {threading.active_count()} threads, "
                        f"{len(list(FILES.iterdir()))} files, {page.counts()['viewers']} viewers",
                        flush=True,
                    )


def visit(link: str, seconds: float) -> None:
    """Open a page every five seconds, and say so when it was closed."""
    ends_s, came = time.monotonic() + seconds, 0
    with open_chromium() as chromium:
        while (came_s := time.monotonic()) < ends_s:
            with open_tab(chromium) as (tab, _):
                tab.goto(link)
                wait_for_images(tab)
                came += 1
                time.sleep(max(0.0, 4.0 - (time.monotonic() - came_s)))
            time.sleep(1.0)
            print(came, flush=True)


def resident_mb() -> float:
    """Return the memory that this process occupies, without what its allocator only holds in store."""
    with contextlib.suppress(OSError, AttributeError):  # of glibc only
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Run what is asked for."""
    if sys.argv[1:2] == ["visits"]:
        visit(sys.argv[2], float(sys.argv[3]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("delay", "camera", "viewers", "churn"))
    parser.add_argument("--seconds", type=float, default=20.0, help="how long each measurement takes")
    parser.add_argument("--rounds", type=int, default=3, help="how often each way takes its turn")
    parser.add_argument("--viewers", type=int, default=20, help="how many watch JPEGs at once")
    parser.add_argument("--transport", action="append", choices=TRANSPORTS, help="measure only this one")
    parser.add_argument("--minutes", type=float, default=3.0, help="how long viewers come and go")
    parser.add_argument("--rate", type=int, default=RATE, help="frames per second while viewers come and go")
    arguments = parser.parse_args()
    if arguments.what == "viewers":
        measure_viewers(arguments)
    elif arguments.what == "churn":
        measure_churn(arguments)
    else:
        measure_delay(arguments, lends=arguments.what == "camera")


if __name__ == "__main__":
    main()
