"""Make the images of the README from the sample clip, with streamcam itself.

python tools/make_images.py
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamcam import Explainer, Overlay, open_source, stream
from streamcam.frames import Frame
from streamcam.media.images import blank_like, planes_of
from streamcam.media.scaling import Resampler
from streamcam.sources import SyntheticSource
from streamcam.temporal import Stabilizer, TemporalSettings, stabilize

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "media" / "sample.mp4"
OVERLAY = ROOT / "media" / "overlay.jpg"
CAT = ROOT / "media" / "cat.jpg"
SIDE_BY_SIDE = ROOT / "media" / "steady.webp"

SHOWN_AT_S = (1.6, 4.8, 8.6)
"""One moment of each shot: the cat, the cup, the tripod."""


def overlaid_frames() -> list[NDArray[np.uint8]]:
    """Render the clip and keep the frames to show, RGB, uint8 (H, W, 3)."""
    overlay, resampler = Overlay(), Resampler()
    kept, wanted = [], list(SHOWN_AT_S)
    explained = stream(SAMPLE, Explainer(), temporal=TemporalSettings())
    for stabilized in stabilize(explained, Stabilizer()):
        image = overlay.draw(stabilized)
        if wanted and stabilized.frame.time_s >= wanted[0]:
            wanted.pop(0)
            kept.append(resampler.to_rgb(image, image.width, image.height))
    return kept


NOISE = 14.0
"""Standard deviation of the sensor noise added for the comparison, in gray levels."""
COMPARED = (range(55, 105), 2)
"""The frames compared, with a cut between them, and every how many of them are shown."""
AS_USUAL = TemporalSettings(mode="none", scale="frame", label_hold_s=0)


class NoisySource(SyntheticSource):
    """The sample clip as a poor camera would have taken it."""

    def __iter__(self) -> Iterator[Frame]:
        chance = np.random.default_rng(0)
        with open_source(SAMPLE) as source:
            for frame in source:
                if frame.index in COMPARED[0]:
                    noisy = blank_like(frame.image)
                    for plane, own in zip(planes_of(noisy), planes_of(frame.image), strict=True):
                        plane[:] = (own + chance.normal(0, NOISE, own.shape)).round().clip(0, 255)
                    yield dataclasses.replace(frame, image=noisy)


def compared_frames(temporal: TemporalSettings) -> list[NDArray[np.uint8]]:
    """Render the noisy clip, RGB, uint8 (H, W, 3) each."""
    overlay, resampler = Overlay(), Resampler()
    pairs = stream(NoisySource(), Explainer(), temporal=temporal)
    images = [overlay.draw(stabilized) for stabilized in stabilize(pairs, Stabilizer(temporal))]
    return [resampler.to_rgb(image, 400, 225) for image in images[:: COMPARED[1]]]


def write_side_by_side() -> None:
    """Every frame by itself on the left, the defaults on the right, as an animation."""
    pairs = zip(compared_frames(AS_USUAL), compared_frames(TemporalSettings()), strict=True)
    first, *others = [Image.fromarray(np.hstack(pair)) for pair in pairs]
    first.save(SIDE_BY_SIDE, save_all=True, append_images=others, duration=80, loop=0, quality=55, method=6)
    print(f"wrote {SIDE_BY_SIDE.relative_to(ROOT)}")


def write_still() -> None:
    """Write one frame of the clip as it is, for examples that explain an image."""
    with open_source(SAMPLE) as source:
        frame = next(frame for frame in source if frame.time_s >= SHOWN_AT_S[0])
    rgb = Resampler().to_rgb(frame.image, frame.image.width, frame.image.height)
    Image.fromarray(rgb).save(CAT, quality=90)
    print(f"wrote {CAT.relative_to(ROOT)}")


def main() -> None:
    """Write the images."""
    write_still()
    write_side_by_side()
    row = np.hstack(overlaid_frames())
    Image.fromarray(row).resize((row.shape[1] * 5 // 8, row.shape[0] * 5 // 8)).save(OVERLAY, quality=88)
    print(f"wrote {OVERLAY.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
