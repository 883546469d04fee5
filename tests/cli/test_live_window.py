"""The window of ``streamcam live``, on a real X server, with keys that are really pressed."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import numpy as np
from media_factory import frame_times_of, make_clip
from PIL import Image
from screens import SIZE, Screen, Shown, until

PROGRAM = str(Path(__file__).parent / "fake_live.py")


def show(screen: Screen, directory: Path, *options: str) -> Shown:
    """Play a gray video in a window of 640x360; its stats are written ten times a second."""
    if not (directory / "clip.mp4").exists():
        make_clip(directory / "clip.mp4", frames=50, size=(640, 360), paint=paint_even)
    return Shown(
        screen,
        [
            PROGRAM,
            "live",
            "clip.mp4",
            "--loop",
            "--stats",
            "s.jsonl",
            "--no-labels",
            "--method",
            "fake",
            *options,
        ],
        directory,
    )


def paint_even(_index: int, planes: object) -> None:
    for plane, value in zip(planes, (120, 128, 128), strict=True):  # type: ignore[call-overload]
        plane[:] = value


def is_gray(pixels: np.ndarray) -> bool:
    return bool(pixels.std() < 3 and 100 < pixels.mean() < 150)


def method_now(directory: Path) -> str | None:
    """Read the method in the last line of the statistics file."""
    lines = (directory / "s.jsonl").read_text().splitlines()
    return json.loads(lines[-1])["method"] if lines else None


def test_keys_do_what_they_say(screen: Screen, work: Path) -> None:
    with show(screen, work) as shown:
        assert shown.size == (640, 360)
        until(lambda: not is_gray(shown.pixels))  # heat
        shown.press("o")
        until(lambda: is_gray(shown.pixels[:300]))  # no heat; below, words say so
        shown.press("i")
        until(lambda: shown.pixels[10:100, 500:630].min() < 60)  # statistics, light on dark
        assert is_gray(shown.pixels[:300, :300])
        shown.press("h")
        until(lambda: shown.pixels[100:260, 250:390].mean() < 90)  # help
        shown.press("h", "i")
        until(lambda: is_gray(shown.pixels[:300]))
        shown.press("o", "v", "v")
        until(lambda: shown.pixels[60:300, :300, 1].mean() < 40)  # heat only: red, where the image is gray
        shown.press("v", "m")
        until(lambda: method_now(work) == "other")
        shown.hold("shift", "m")
        until(lambda: method_now(work) == "fake")
        shown.press("q")
        assert shown.end()[0] == 0


def prompts_now(directory: Path) -> list[str] | None:
    """Read the prompts in the last line of the statistics file."""
    lines = (directory / "s.jsonl").read_text().splitlines()
    return json.loads(lines[-1]).get("prompts") if lines else None


def test_a_prompt_is_typed_added_and_replaced(screen: Screen, work: Path) -> None:
    with show(screen, work, "--method", "prompted") as shown:
        until(lambda: prompts_now(work))
        before = prompts_now(work)
        assert before is not None
        shown.press("slash", "o", "x")
        until(lambda: shown.pixels[200:350, 10:200].max() > 200)  # what can be done
        shown.press("Return")
        until(lambda: prompts_now(work) == [*before, "ox"])
        shown.press("slash", "a", "space", "c", "u", "p", "Down", "Return")
        until(lambda: prompts_now(work) == ["a cup"])
        shown.press("q")
        assert shown.end()[0] == 0


def test_what_is_kept_and_the_close_button(screen: Screen, work: Path) -> None:
    with show(screen, work) as shown:
        shown.press("p")
        until(lambda: list(work.glob("streamcam-*.png")))
        shown.press("r")
        (recording,) = until(lambda: list(work.glob("streamcam-*.mp4"))) and list(
            work.glob("streamcam-*.mp4")
        )
        until(lambda: recording.stat().st_size > 2000)
        until(lambda: shown.pixels[5:30, 560:640, 0].max() > 200)  # the red dot, while it records
        screen.ask_to_close(shown.window)
        code, out, err = shown.end()
        assert (code, err) == (0, "")
        assert f"recorded {recording.name}: " in out
        assert len(frame_times_of(recording)) > 10
        (image,) = work.glob("streamcam-*.png")
        with Image.open(image) as saved:
            assert saved.size == (640, 360)


def test_the_image_keeps_its_shape_and_a_signal_finishes_the_recording(screen: Screen, work: Path) -> None:
    with show(screen, work, "--record", "r.mkv") as shown:
        screen.do("windowsize", "--sync", shown.window, *map(str, SIZE))
        # 1000 pixels of 16:9 are 562 high, between bars of 69.
        until(lambda: shown.pixels[:60, :500].max() < 20 and shown.pixels[80:600].mean() > 40)
        shown.process.send_signal(signal.SIGINT)
        code, out, err = shown.end()
    assert (code, err) == (130, "")
    assert out.startswith("recorded r.mkv: ")


def test_a_class_is_typed_in_a_window_of_another_size(screen: Screen, work: Path) -> None:
    with show(screen, work) as shown:
        screen.do("windowsize", "--sync", shown.window, "400", "300")
        until(lambda: shown.pixels[:30].max() < 20 < shown.pixels[150].mean())  # bars above an image of 16:9
        shown.press("slash", "e", "g")
        until(lambda: shown.pixels[180:290, 10:100].max() > 200)
        shown.press("Escape", "q")
        code, _, err = shown.end()
        assert (code, err) == (0, "")
