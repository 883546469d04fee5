"""Make the pictures of the README's gallery from the sample clip, by the command that stands below each.

python tools/make_gallery.py [NAME ...]
"""

from __future__ import annotations

import shlex
import sys
import tempfile
from pathlib import Path

from PIL import Image

from streamcam.cli import run

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "media" / "sample.mp4"
FOLDER = ROOT / "media" / "gallery"

CAT_S, CUP_S, TRIPOD_S = 1.6, 4.8, 8.6
"""One moment of each shot."""

GALLERY: dict[str, tuple[str, float | None]] = {
    "side-by-side": ("render --layout side-by-side --legend", CAT_S),
    "swipe": ('render --layout swipe --caption "Red is where the network looks"', CAT_S),
    "mask": ("render --layout mask", CUP_S),
    "spotlight": ("render --layout spotlight", TRIPOD_S),
    "contours": ("render --layout contours", CUP_S),
    "boxes": ("render --boxes", TRIPOD_S),
    "methods": ("compare --methods gradcam,hirescam,gradcam++,layercam,eigencam", CAT_S),
    "layers": ("compare --layers auto:5", CAT_S),
    "change": ("maximize --class goldfish --from media/sample.mp4@4.8 --steps 120", None),
    "maximize": ("maximize --class monarch --class volcano --class daisy --class tripod", None),
}
"""Name → the command, without input and output, and the moment that is shown; None for one without input."""

_BEFORE_S, _AFTER_S = 0.4, 0.2
"""What is rendered around the moment: heat is smoothed in both directions."""

WIDTHS = {"render": 640, "compare": 960, "maximize": 516}
"""Width of a picture in pixels, by the command: names above panes are small."""


def make_picture(name: str) -> Path:
    """Run a command of the gallery, and save one frame of what it wrote."""
    arguments, moment_s = GALLERY[name]
    command, *options = shlex.split(arguments)
    part: list[str] = []
    if moment_s is not None:
        part = [
            str(SAMPLE),
            "--start",
            f"{moment_s - _BEFORE_S:g}",
            "--duration",
            f"{_BEFORE_S + _AFTER_S:g}",
        ]
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / ("all.png" if moment_s is None else "%03d.png")
        status = run([command, "-o", str(output), *part, *options, "--quiet"])
        if status:
            sys.exit(status)
        images = sorted(Path(folder).glob("*.png"))
        shown = images[round(len(images) * _BEFORE_S / (_BEFORE_S + _AFTER_S))]
        with Image.open(shown) as image:
            width = WIDTHS[command]
            height = round(image.height * width / image.width)
            path = FOLDER / f"{name}.jpg"
            small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            small.save(path, quality=85, optimize=True)
    return path


def main() -> None:
    """Make the pictures named on the command line, or all."""
    FOLDER.mkdir(exist_ok=True)
    for name in sys.argv[1:] or GALLERY:
        path = make_picture(name)
        print(f"wrote {path.relative_to(ROOT)} ({path.stat().st_size / 1000:.0f} kB)")


if __name__ == "__main__":
    main()
