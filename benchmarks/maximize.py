"""Whether images made for ten classes are classified as these, from the middle and from elsewhere.

python benchmarks/maximize.py [--steps 256] [-o ten.png]
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from pathlib import Path

import PIL.Image

import streamcam
from streamcam.media.scaling import Resampler
from streamcam.synthesis import MaximizeSettings, draw_sheet, maximize

CLASSES = (
    "espresso",
    "goldfish",
    "strawberry",
    "Egyptian cat",
    "monarch",
    "peacock",
    "volcano",
    "daisy",
    "pineapple",
    "tripod",
)


def main() -> None:
    """Make the images, and print what the network says of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=MaximizeSettings().steps)
    parser.add_argument("-o", dest="output", type=Path)
    arguments = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    model = streamcam.load_model()
    begun = time.monotonic()
    images = maximize(model, MaximizeSettings(CLASSES, steps=arguments.steps))
    elapsed_s = time.monotonic() - begun
    for image in images:
        print(f"{image.name:20} {image.probability:7.3f}  least of 7 crops {image.least_probability:7.3f}")
    print(f"{model.name}: {len(images)} images in {elapsed_s:.0f} s, {arguments.steps} steps")
    if arguments.output is not None:
        sheet = draw_sheet(images)
        pixels = Resampler().to_rgb(sheet, sheet.width, sheet.height)
        PIL.Image.fromarray(pixels).save(arguments.output)


if __name__ == "__main__":
    main()
