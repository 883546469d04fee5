"""Telling encoders what a video of high dynamic range says of its light; they write it into the images."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from streamcam.frames import HdrMetadata, MasteringDisplay


@dataclasses.dataclass(frozen=True, slots=True)
class _Wording:
    """How an encoder is told."""

    option: str
    """Its option that takes parameters of its own."""
    display: str
    """What the parameter for the mastering display is called in there."""
    light: str
    """What the parameter for the brightest images is called."""
    counts: bool = True
    """Whether in whole units of 0.00002 and of 0.0001 nits, as the streams do, rather than in fractions."""

    def place(self, value: float) -> str:
        """Write a coordinate of a colour."""
        return f"{value / 0.00002:.0f}" if self.counts else f"{value:.5f}"

    def nits(self, value: float) -> str:
        """Write a luminance."""
        return f"{value / 0.0001:.0f}" if self.counts else f"{value:.4f}"


_WORDINGS = {
    "libx264": _Wording("x264-params", "mastering-display", "cll"),
    "libx265": _Wording("x265-params", "master-display", "max-cll"),
    "libsvtav1": _Wording("svtav1-params", "mastering-display", "content-light", counts=False),
}


def with_hdr_metadata(
    options: Mapping[str, str], encoder: str, metadata: HdrMetadata
) -> dict[str, str] | None:
    """Put what a video says of its light into an encoder's options.

    Args:
        options: The encoder's own, so far.
        encoder: FFmpeg's name of it.
        metadata: What the video says.

    Returns:
        The options with that; None where the encoder cannot be told.
    """
    wording = _WORDINGS.get(encoder)
    if wording is None:
        return None
    parameters = [options[wording.option]] if wording.option in options else []
    if metadata.display is not None:
        parameters.append(f"{wording.display}={_display(metadata.display, wording)}")
    if metadata.max_cll or metadata.max_fall:
        parameters.append(f"{wording.light}={metadata.max_cll},{metadata.max_fall}")
    return {**options, wording.option: ":".join(parameters)}


def _display(display: MasteringDisplay, wording: _Wording) -> str:
    places = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    told = [f"{name}({wording.place(x)},{wording.place(y)})" for name, (x, y) in places.items()]
    darkest, brightest = display.luminance
    return "".join([*told, f"L({wording.nits(brightest)},{wording.nits(darkest)})"])
