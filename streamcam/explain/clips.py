"""Clips for networks that look at several frames at once: the frame to explain and those before it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamcam.frames import Frame

Pixels = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class ClipHistory:
    """The last frames of a video, as the beginning of the next clip."""

    pixels: tuple[Pixels, ...]
    """RGB, uint8 (H, W, 3) each, oldest first."""
    frame_index: int
    """`Frame.index` of the last one."""


def slide_clips(
    history: ClipHistory | None, frames: Sequence[Frame], pixels: Pixels, cuts: Sequence[bool], length: int
) -> tuple[Pixels, ClipHistory]:
    """Return for each frame the clip that ends with it.

    A clip never spans two shots or two videos: at the beginning of one, and where the size of frames changes,
    the first frame is repeated.

    Args:
        history: The frames before these; None if there are none.
        frames: N consecutive frames among those that are explained.
        pixels: Their pixels, RGB, uint8 (N, H, W, 3).
        cuts: Whether each frame begins a shot.
        length: T, the number of frames in a clip.

    Returns:
        The clips, uint8 (N, T, H, W, 3), and the history for the next frames.
    """
    continues = (
        history is not None
        and history.frame_index < frames[0].index
        and history.pixels[-1].shape == pixels.shape[1:]
    )
    window = history.pixels if history is not None and continues else ()
    clips = []
    for image, cut in zip(pixels, cuts, strict=True):
        window = (image,) * length if cut or not window else (*window, image)[-length:]
        clips.append(np.stack(window))
    return np.stack(clips), ClipHistory(window, frames[-1].index)
