"""Evidence files made of explanations, without a render."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from media_factory import info_of, make_image, paint_noise

from streamcam.evidence import Evidence, open_evidence
from streamcam.explanations import Explanation, RenderedFrame, StabilizedFrame
from streamcam.frames import Frame
from streamcam.sinks import open_evidence_sink


def kept_evidence(folder: Path, explanations: Iterable[Explanation], name: str = "kept.h5") -> Evidence:
    """Keep explanations of frames, 25 a second; the caller closes what is opened."""
    sink = open_evidence_sink(folder / name, info_of(size=(64, 48)), overwrite=False)
    sink.describe({"model": "fake <net>", "weights": "none", "method": "fake", "target_layer": "nowhere"})
    sink.identify({"weights": "none"}, {"overlay": {"colormap": "jet"}}, ["cat"], "streamcam render a.mp4")
    for explanation in explanations:
        index = explanation.frame_index
        frame = Frame(make_image(64, 48, index, paint=paint_noise), index, index, Fraction(1, 25), 0.0, 1)
        stabilized = StabilizedFrame(frame, {}, (), (), explanation)
        sink.write(RenderedFrame(frame.image, frame.pts, frame.time_base, stabilized, 1))
    sink.conclude({"notes": ["the <map> is odd"], "elapsed_s": 8.0})
    sink.finish()
    return open_evidence(folder / name)
