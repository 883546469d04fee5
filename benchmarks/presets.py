"""Compare x264's presets: the size of a video of equal quality, and the processor time that it takes.

    python benchmarks/presets.py VIDEO … [--height 1080] [--frames 48]

Each video is scaled, and encoded by ffmpeg with every preset at three rates of quality (crf). Quality is
FFmpeg's SSIM against the scaled video. Sizes are those at the quality of the default preset and rate, read
from a line through the logarithms of each preset's sizes, as a multiple of the default preset's. Processor
time counts all threads of the encoder, so other programs hardly matter.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from figures import machine

PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
RATES = (16, 20, 24)
DEFAULT_PRESET, DEFAULT_RATE = "veryfast", 20
FFMPEG = ("ffmpeg", "-hide_banner", "-nostdin", "-y")


def main() -> None:
    """Print a table for each video."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("videos", nargs="+", type=Path)
    parser.add_argument("--height", type=int, default=1080)
    parser.add_argument("--frames", type=int, default=48)
    settings = parser.parse_args()
    print(f"Machine: {machine()}\n")
    print("| video | preset | CPU ms a frame | SSIM, dB | bits a pixel | size at equal SSIM |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for video in settings.videos:
        with tempfile.TemporaryDirectory() as folder:
            raw, pixels = scale(video, settings.height, settings.frames, Path(folder))
            compare(video.stem, raw, pixels, settings.frames)


def scale(video: Path, height: int, frames: int, folder: Path) -> tuple[Path, int]:
    """Write the first frames of a video, scaled and uncompressed; return the file and its pixels."""
    raw = folder / "raw.y4m"
    # The best stream may not be the first one: ffmpeg takes that with the most pixels by itself.
    size = ["-vf", f"scale=-2:{height}", "-pix_fmt", "yuv420p", "-frames:v", str(frames), "-an"]
    subprocess.run([*FFMPEG, "-i", str(video), *size, str(raw)], capture_output=True, check=True)
    with raw.open("rb") as file:
        header = file.readline().decode("ascii")
    found = re.search(r" W(\d+) H(\d+) ", header)
    assert found is not None
    return raw, int(found[1]) * int(found[2]) * frames


def compare(name: str, raw: Path, pixels: int, frames: int) -> None:
    """Encode with every preset and rate; print a row for each preset."""
    measured = {preset: [encode(raw, preset, rate, frames) for rate in RATES] for preset in PRESETS}
    middle = RATES.index(DEFAULT_RATE)
    aim = measured[DEFAULT_PRESET][middle][1]
    needed = {preset: size_at(aim, points) for preset, points in measured.items()}
    for preset, points in measured.items():
        cpu_ms, quality, _ = points[middle]
        bits = 8 * points[middle][2] / pixels
        ratio = needed[preset] / needed[DEFAULT_PRESET]
        print(f"| {name} | {preset} | {cpu_ms:.0f} | {quality:.2f} | {bits:.3f} | {ratio:.2f} |", flush=True)


def encode(raw: Path, preset: str, rate: int, frames: int) -> tuple[float, float, float]:
    """Return processor milliseconds a frame, SSIM in decibels, and the size in bytes."""
    output = raw.with_name(f"{preset}-{rate}.mp4")
    options = ["-c:v", "libx264", "-preset", preset, "-crf", str(rate), str(output)]
    process = subprocess.Popen([*FFMPEG, "-i", str(raw), *options], stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"ffmpeg failed with preset {preset}")
    compared = ["-i", str(output), "-i", str(raw), "-lavfi", "ssim", "-f", "null", "-"]
    done = subprocess.run([*FFMPEG, *compared], capture_output=True, text=True, check=True)
    found = re.search(r"SSIM .*All:([\d.]+)", done.stderr)
    assert found is not None
    quality = -10 * math.log10(max(1 - float(found[1]), 1e-9))
    return 1000 * (used.ru_utime + used.ru_stime) / frames, quality, output.stat().st_size


def size_at(quality: float, points: list[tuple[float, float, float]]) -> float:
    """Return the size in bytes that a quality takes, from what `encode` returned at several rates."""
    _, qualities, sizes = zip(*points, strict=True)
    slope, offset = np.polyfit(qualities, np.log(sizes), 1)
    return float(np.exp(slope * quality + offset))


if __name__ == "__main__":
    main()
