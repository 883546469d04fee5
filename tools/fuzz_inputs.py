"""Feed damaged videos and images to the reader, and some to a render: none may crash, hang or exhaust memory.

Small valid files of many containers and codecs are made with PyAV and Pillow, and mutated: bits flipped,
bytes cut out, cut off, doubled, swapped or zeroed, blocks spliced in from other files, absurd numbers put in
headers. Each mutant is opened and decoded to its end, every fifth is rendered with an explainer that needs no
network, in a worker process whose memory and time are limited.

    python tools/fuzz_inputs.py [--count 2000] [--seed 1] [--only NUMBER] [--keep FOLDER]

Mutant NUMBER of a seed is always the same; --only runs one, with its traceback. A mutant is fine if it is
decoded, or refused with one of streamcam's own errors. The exit code is 1 if one is not; --keep keeps those.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import dataclasses
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parent.parent / "tests" / "support"
sys.path.insert(0, str(TESTS))

RENDERED = 5
"""Every mutant whose number this divides is rendered, the others are only read."""

LONGEST_S = 30.0
"""A mutant that takes longer has hung. Valid, they take some hundredths of a second."""

MEMORY_BYTES = 4 << 30
"""Address space of a worker: an allocation beyond it fails."""

RESIDENT_BYTES = 1 << 30
"""A mutant that makes the worker grow beyond this has swollen."""

FINE = ("whole", "damage reported", "refused")


def seeds() -> dict[str, Callable[[Path], object]]:
    """File name → what makes the valid file."""
    from media_factory import Audio, Subtitles, make_clip
    from PIL import Image

    def video(**how: Any) -> Callable[[Path], object]:
        return lambda path: make_clip(path, **{"frames": 12, "gop": 6, **how})

    def noise(seed: int, mode: str = "RGB") -> Image.Image:
        size = (48, 32)
        return Image.frombytes(mode, size, random.Random(seed).randbytes(len(mode) * size[0] * size[1]))

    def image(mode: str = "RGB", **how: Any) -> Callable[[Path], object]:
        return lambda path: noise(0, mode).save(path, **how)

    def animation(**how: Any) -> Callable[[Path], object]:
        others = [noise(seed, "RGBA") for seed in range(1, 5)]
        return lambda path: noise(0, "RGBA").save(
            path, save_all=True, append_images=others, duration=40, **how
        )

    audio = Audio(duration_s=0.4)
    return {
        "h264.mp4": video(b_frames=2, audio=[audio], chapters=[(0, 200, "one")], metadata={"title": "video"}),
        "faststart.mp4": video(muxer_options={"movflags": "+faststart"}, rotation=90),
        "fragmented.mp4": video(muxer_options={"movflags": "+frag_keyframe+empty_moov"}, audio=[audio]),
        "hevc.mov": video(codec="libx265", options={"x265-params": "log-level=none"}),
        "prores.mov": video(codec="prores_ks", encoded_format="yuv422p10le"),
        "h264.mkv": video(b_frames=3, subtitles=[Subtitles("subrip", {0: "line"})], audio=[audio]),
        "ffv1.mkv": video(codec="ffv1"),
        "vp8.webm": video(codec="libvpx", options={"deadline": "realtime", "cpu-used": "8"}),
        "vp9.webm": video(codec="libvpx-vp9", options={"deadline": "realtime", "cpu-used": "8"}),
        "av1.mkv": video(codec="libsvtav1", options={"preset": "12"}),
        "mpeg2.ts": video(codec="mpeg2video", audio=[Audio("mp2", 0.4)]),
        "h264.ts": video(audio=[audio]),
        "mpeg1.mpg": video(codec="mpeg1video"),
        "mpeg4.avi": video(codec="mpeg4", audio=[Audio("ac3", 0.4)]),
        "mjpeg.avi": video(codec="mjpeg", encoded_format="yuvj420p"),
        "h264.flv": video(),
        "raw.nut": video(codec="rawvideo"),
        "wmv.asf": video(codec="wmv2"),
        "anim.gif": video(codec="gif", encoded_format="rgb8"),
        "stream.h264": video(),
        "photo.png": image(),
        "photo.jpg": image(),
        "photo.webp": image(),
        "photo.bmp": image(),
        "photo.tif": image(compression="tiff_lzw"),
        "photo.avif": image(),
        "photo-alpha.png": image("RGBA"),
        "anim.webp": animation(),
        "anim.png": animation(),
        "anim.avif": animation(speed=10),
    }


@dataclasses.dataclass(frozen=True)
class Corpus:
    """The valid files, by name."""

    files: dict[str, bytes]

    @classmethod
    def make(cls, folder: Path) -> Corpus:
        """Make every file."""
        os.environ.setdefault("SVT_LOG", "1")  # libsvtav1 prints its settings otherwise
        for name, make in seeds().items():
            make(folder / name)
        return cls({path.name: path.read_bytes() for path in sorted(folder.iterdir())})

    def mutant(self, seed: int, number: int) -> tuple[str, bytes]:
        """Make one mutant: always the same for one seed and number."""
        choose = random.Random(f"{seed}/{number}")
        name = choose.choice(sorted(self.files))
        data = bytearray(self.files[name])
        for _ in range(choose.choice((1, 1, 2, 5))):
            choose.choice(MUTATIONS)(data, choose, self)
        return name, bytes(data)


def place(data: bytearray, choose: random.Random) -> int:
    """Choose a place: half of the time in the headers, where it matters most."""
    length = max(1, len(data))
    return choose.randrange(min(length, 600) if choose.random() < 0.5 else length)


def flip_bits(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    for _ in range(choose.choice((1, 4, 30)) if data else 0):
        data[place(data, choose)] ^= 1 << choose.randrange(8)


def cut_off(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    del data[place(data, choose) :]


def cut_out(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    at = place(data, choose)
    del data[at : at + choose.randrange(1, 2000)]


def double(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    at = place(data, choose)
    data[at:at] = data[at : at + choose.randrange(1, 2000)]


def zero(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    at, length = place(data, choose), choose.randrange(1, 500)
    data[at : at + length] = bytes(len(data[at : at + length]))


def splice(data: bytearray, choose: random.Random, corpus: Corpus) -> None:
    """Put a block of another file in the place of a block of this one."""
    other = corpus.files[choose.choice(sorted(corpus.files))]
    at, length, there = place(data, choose), choose.randrange(1, 2000), choose.randrange(len(other))
    data[at : at + length] = other[there : there + length]


def exaggerate(data: bytearray, choose: random.Random, _corpus: Corpus) -> None:
    """Put an absurd number somewhere, mostly into a header."""
    at, size = place(data, choose), choose.choice((1, 2, 4, 8))
    numbers = (0, 1, 2 ** (8 * size) - 1, 2 ** (8 * size - 1), 2 ** (8 * size - 1) - 1)
    order = choose.choice(("big", "little"))
    data[at : at + size] = choose.choice(numbers).to_bytes(size, order)  # type: ignore[arg-type]


MUTATIONS = (flip_bits, cut_off, cut_out, double, zero, splice, exaggerate)


# --- the worker -------------------------------------------------------------------------------------------


def work(folder: Path, seed: int, numbers: range) -> None:
    """Try mutants one after another, and print one line of JSON for each."""
    corpus = Corpus({path.name: path.read_bytes() for path in sorted((folder / "corpus").iterdir())})
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    for number in numbers:
        name, data = corpus.mutant(seed, number)
        path = made(folder / "in") / name
        path.write_bytes(data)
        print(json.dumps({"number": number, "name": name}), flush=True)
        forget_peak()
        began = time.monotonic()
        outcome, details = attempt(path, rendering=number % RENDERED == 0)
        if path.read_bytes() != data:
            outcome, details = "input changed", ""
        seconds = time.monotonic() - began
        result = {"outcome": outcome, "details": details, "seconds": seconds, "resident": resident_peak()}
        print(json.dumps(result), flush=True)


def attempt(path: Path, *, rendering: bool) -> tuple[str, str]:
    """Read or render one file; return what came of it, and what was said."""
    from stage_fakes import FakeExplainer

    from streamcam.errors import StreamcamError
    from streamcam.pipeline.render import render
    from streamcam.pipeline.settings import RenderSettings
    from streamcam.sources import open_source

    threads = threading.active_count()
    still = path.name.startswith("photo")
    outputs = made(path.parent.parent / "out")
    output = outputs / ("out.png" if still else "out.mkv")
    try:
        if rendering:
            result = render(path, output, FakeExplainer(), settings=RenderSettings(overwrite=True))
            report, frames = result.source, result.frames
        else:
            with open_source(path) as source:
                frames = sum(1 for _ in source)
                report = source.report()
    except StreamcamError as error:
        said = str(error)
        if "\n" in said:
            return "more than one line", said
        outcome, details = "refused", said
    except Exception:
        return "traceback", traceback.format_exc()
    else:
        outcome, details = ("whole" if report.whole else "damage reported"), f"{frames} frames"
    if threading.active_count() > threads:
        return "thread left", details
    left = sorted(entry.name for entry in outputs.iterdir())
    shutil.rmtree(outputs)
    expected = [output.name] if rendering and outcome != "refused" else []
    return (outcome, details) if left == expected else (f"{outcome}, and left {left}", details)


def forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def resident_peak() -> int:
    """The most memory that was in use since `forget_peak`, in bytes; 0 where the system does not tell."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


# --- the overseer -----------------------------------------------------------------------------------------


def results(folder: Path, seed: int, count: int) -> Iterator[dict[str, Any]]:
    """Let workers try all mutants; a worker that crashes or hangs is replaced by one for the rest."""
    start = 0
    while start < count:
        for result in results_of_worker(folder, seed, range(start, count)):
            yield result
            start = result["number"] + 1


def results_of_worker(folder: Path, seed: int, numbers: range) -> Iterator[dict[str, Any]]:
    """Start one worker and yield what comes of its mutants, up to the one that it does not survive."""
    command = [sys.executable, __file__, "--work", str(folder), "--seed", str(seed)]
    command += ["--first", str(numbers.start), "--count", str(numbers.stop)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        while line := worker.stdout.readline():
            result = json.loads(line)
            watchdog = threading.Timer(LONGEST_S, worker.kill)
            watchdog.start()
            line = worker.stdout.readline()
            hung = not watchdog.is_alive()
            watchdog.cancel()
            if line:
                result |= json.loads(line)
                if result["resident"] > RESIDENT_BYTES:
                    result["outcome"] = "swollen"
                yield result
                continue
            _, said = worker.communicate()
            outcome = "hang" if hung else f"crash ({worker.returncode})"
            yield {**result, "outcome": outcome, "details": said, "seconds": LONGEST_S * hung, "resident": 0}
            return
        if worker.wait() != 0:  # outside of any mutant: a defect of this script
            assert worker.stderr is not None
            raise RuntimeError(worker.stderr.read())


def oversee(arguments: argparse.Namespace, folder: Path) -> int:
    """Try all mutants, say what came of them, and return the exit code."""
    corpus, tally, bad = Corpus.make(made(folder / "corpus")), collections.Counter[str](), 0
    slowest = largest = 0.0
    for result in results(folder, arguments.seed, arguments.count):
        tally[result["outcome"]] += 1
        slowest, largest = max(slowest, result["seconds"]), max(largest, result["resident"])
        if result["outcome"] in FINE:
            continue
        bad += 1
        print(f"mutant {result['number']} of {result['name']}: {result['outcome']}\n{result['details']}")
        if arguments.keep is not None:
            name, data = corpus.mutant(arguments.seed, result["number"])
            (made(arguments.keep) / f"{result['number']}-{name}").write_bytes(data)
    print(
        f"{tally.total()} mutants of {len(corpus.files)} files, seed {arguments.seed}: "
        + ", ".join(f"{count} {outcome}" for outcome, count in tally.most_common())
        + f"; slowest {slowest:.1f} s, most memory {largest / 1e6:.0f} MB"
    )
    return 1 if bad else 0


def made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=2000, help="how many mutants")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="try one mutant here, and print what comes of it")
    parser.add_argument("--keep", type=Path, help="where mutants that are not fine are kept")
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--first", type=int, default=0, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work is not None:
        work(arguments.work, arguments.seed, range(arguments.first, arguments.count))
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if arguments.only is None:
            return oversee(arguments, folder)
        Corpus.make(made(folder / "corpus"))
        work(folder, arguments.seed, range(arguments.only, arguments.only + 1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
