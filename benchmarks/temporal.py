"""Measure the temporal stage on short videos whose truth is known.

    python benchmarks/temporal.py [--media ../shared/media] [--model efficientnet_lite0]

Object photos move over still backgrounds, stand still while others pass, are noisy and compressed, flicker in
exposure, are cut hard and dissolve into each other (benchmarks/temporal_clips.py). Every video is explained
once, and every mode then works on the same explanations. What is printed goes into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import itertools
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from temporal_clips import HEIGHT, RATE, WIDTH, Clip, Photographs, all_clips

from streamcam import Explainer, stream
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.temporal import Stabilizer, TemporalSettings, Tracker, stabilize

Pairs = list[tuple[Frame, Explanation]]

BASELINE = "none, frame scale, no hold"
CANDIDATES: dict[str, TemporalSettings] = {
    BASELINE: TemporalSettings(mode="none", scale="frame", label_hold_s=0),
    "none": TemporalSettings(mode="none"),
    "causal": TemporalSettings(mode="causal"),
    "zero-phase": TemporalSettings(mode="zero-phase"),
    "flow": TemporalSettings(mode="flow"),
    "flow-zero-phase": TemporalSettings(mode="flow-zero-phase"),
    "flow, every 5th": TemporalSettings(mode="flow", every=5),
    "flow-zero-phase, every 5th": TemporalSettings(mode="flow-zero-phase", every=5),
}

RECOVERED = 0.9
"""After a cut heat has recovered when it correlates with the frame's own map like this."""


# --- measures of one video ---------------------------------------------------------------------------------


def enlarged(heat: FloatArray) -> FloatArray:
    return np.asarray(cv2.resize(heat, (96, 54), interpolation=cv2.INTER_LINEAR), np.float32)


def flicker(heats: list[FloatArray]) -> float:
    """Mean absolute change of the displayed heat from frame to frame."""
    shown = [enlarged(heat) for heat in heats]
    return statistics.fmean(float(np.abs(a - b).mean()) for a, b in itertools.pairwise(shown))


def lag(heats: list[FloatArray], boxes: NDArray[np.float64]) -> float:
    """By how many frames the heat's centroid trails the object: where their correlation is largest."""
    place = [float((heat.sum(axis=0) @ np.arange(heat.shape[1])) / max(heat.sum(), 1e-9)) for heat in heats]
    truth, frames = boxes[:, 0], np.arange(len(boxes))
    middle = slice(len(boxes) // 5, -len(boxes) // 5)

    def agreement(delay: float) -> float:
        delayed = np.interp(frames - delay, frames, truth)
        return float(np.corrcoef(delayed[middle], np.array(place)[middle])[0, 1])

    return float(max(np.arange(-12, 12.01, 0.1), key=agreement))


def pointing(heats: list[FloatArray], boxes: NDArray[np.float64]) -> float:
    """Share of the frames in which the heat's peak lies in the object's box."""
    hits = []
    for heat, (left, top, right, bottom) in zip(heats, boxes, strict=True):
        row, column = np.unravel_index(heat.argmax(), heat.shape)
        x, y = (column + 0.5) / heat.shape[1] * WIDTH, (row + 0.5) / heat.shape[0] * HEIGHT
        hits.append(left <= x <= right and top <= y <= bottom)
    return statistics.fmean(hits)


def frames_to_recover(heats: list[FloatArray], pairs: Pairs, cuts: tuple[int, ...]) -> int:
    """How many frames after a cut heat still shows something else, at the worst cut."""
    worst = 0
    for cut in cuts:
        wrong = 0
        while wrong < 10 and not _agrees(heats[cut + wrong], pairs[cut + wrong][1]):
            wrong += 1
        worst = max(worst, wrong)
    return worst


def _agrees(heat: FloatArray, explanation: Explanation) -> bool:
    own = enlarged(next(iter(explanation.heatmaps.values())))
    return float(np.corrcoef(enlarged(heat).ravel(), own.ravel())[0, 1]) >= RECOVERED


def changes(labels: list[tuple[Prediction, ...]]) -> int:
    """How often the first label changes."""
    return sum(a[0].index != b[0].index for a, b in itertools.pairwise(labels))


# --- measuring --------------------------------------------------------------------------------------------


class Tally:
    """What was measured of one candidate, over all videos."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = collections.defaultdict(list)
        self.seconds = 0.0
        self.frames = 0

    def mean(self, name: str) -> float:
        return statistics.fmean(self.values[name])


@dataclasses.dataclass
class Labels:
    """How often the first label changes where what is seen does not."""

    frames: int = 0
    raw: int = 0
    shown: int = 0

    def add(self, raw: Pairs, held: Pairs) -> None:
        self.frames += len(held)
        self.raw += changes([explanation.predictions for _, explanation in raw])
        self.shown += changes([explanation.smoothed_predictions for _, explanation in held])

    def __str__(self) -> str:
        minutes = self.frames / RATE / 60
        return (
            f"The first label changes {self.raw / minutes:.1f} times a minute raw, "
            f"{self.shown / minutes:.1f} times shown, over {self.frames} frames."
        )


def explain(clip: Clip, explainer: Explainer, settings: TemporalSettings) -> Pairs:
    """Explain every frame of a video."""
    return list(stream(clip.path, explainer, temporal=dataclasses.replace(settings, every=1)))


def thinned(pairs: Pairs, every: int) -> Pairs:
    """Leave out what ``--every`` would leave out."""
    kept, since = [], 0
    for number, (frame, explanation) in enumerate(pairs):
        since = 0 if number == 0 or explanation.starts_shot or since + 1 >= every else since + 1
        if since:
            explanation = dataclasses.replace(explanation, heatmaps={}, targets=(), predictions=(), flags={})
        kept.append((frame, explanation))
    return kept


def run(pairs: Pairs, settings: TemporalSettings, tally: Tally) -> list[FloatArray]:
    """Steady a video and return the heat shown of every frame."""
    began = time.process_time()
    heats = [next(iter(shown.heatmaps.values())) for shown in stabilize(iter(pairs), Stabilizer(settings))]
    tally.seconds += time.process_time() - began
    tally.frames += len(heats)
    return heats


def measure(clip: Clip, heats: list[FloatArray], pairs: Pairs, tally: Tally) -> None:
    if clip.kind in ("moving", "passed"):
        assert clip.boxes is not None
        tally.values[f"pointing {clip.kind}"].append(pointing(heats, clip.boxes))
        if clip.kind == "moving":
            tally.values["lag"].append(lag(heats, clip.boxes))
    elif clip.kind == "cuts":
        tally.values["recover"].append(frames_to_recover(heats, pairs, clip.cuts))
    else:
        tally.values[f"flicker {clip.kind}"].append(flicker(heats))


def measure_following(pairs: Pairs) -> float:
    """Return the processor milliseconds a frame that the tracker takes, without the network."""
    tracker = Tracker(TemporalSettings())
    probabilities = np.full((1, 1000), 0.001, np.float32)
    labels = [str(index) for index in range(1000)]
    began = time.process_time()
    for frame, explanation in pairs:
        tracker.observe(frame)
        tracker.rank([frame], probabilities, labels, 3)
        tracker.complete(frame, explanation)
    return 1000 * (time.process_time() - began) / len(pairs)


def clips_of(media: Path) -> Iterator[Clip]:
    with tempfile.TemporaryDirectory() as folder:
        yield from all_clips(Photographs(media), Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    beside = Path(__file__).resolve().parent.parent.parent / "shared" / "media"
    parser.add_argument("--media", type=Path, default=beside, help="the folder that holds imagenet/")
    parser.add_argument("--model", default="efficientnet_lite0")
    parser.add_argument("--each", action="store_true", help="print every video too")
    settings = parser.parse_args()
    cv2.setNumThreads(1)
    tallies = {name: Tally() for name in CANDIDATES}
    labels = Labels()
    found: dict[str, str] = {}
    following = []
    for clip in clips_of(settings.media):
        explainer = Explainer(settings.model, classes=clip.class_index)
        raw = explain(clip, explainer, CANDIDATES[BASELINE])
        held = explain(clip, explainer, TemporalSettings())
        following.append(measure_following(held))
        if clip.kind in ("cuts", "fades"):
            numbers = [number for number, (_, explanation) in enumerate(held) if explanation.starts_shot]
            right = len(set(numbers) & set(clip.cuts))
            found[clip.kind] = f"{right} of {len(clip.cuts)} cuts found, {len(numbers) - right} false ones"
        elif clip.kind != "passed":  # there the right label changes
            labels.add(raw, held)
        for name, candidate in CANDIDATES.items():
            pairs = thinned(raw if candidate.label_hold_s == 0 else held, candidate.every)
            heats = run(pairs, candidate, tallies[name])
            measure(clip, heats, raw if candidate.label_hold_s == 0 else held, tallies[name])
            if settings.each:
                latest = {key: round(values[-1], 3) for key, values in tallies[name].values.items()}
                print(f"{clip.kind} {clip.name}: {name} {latest}", flush=True)
    report(tallies)
    print(f"\n{labels}")
    print(f"Hard cuts: {found['cuts']}. Fades: {found['fades']}.")
    print(f"Following (view, cut, labels) takes {statistics.median(following):.2f} ms of CPU a frame.")


def report(tallies: dict[str, Tally]) -> None:
    """Print the table."""
    base = tallies[BASELINE]
    print(
        "| mode | flicker: noise | flicker: exposure | lag, frames (worst video) | pointing, moving | "
        "pointing, passed by | frames to recover | CPU ms a frame |"
    )
    print("| --- " * 8 + "|")
    for name, tally in tallies.items():
        noise, exposure = (
            statistics.fmean(
                own / usual for own, usual in zip(tally.values[kind], base.values[kind], strict=True)
            )
            for kind in ("flicker static", "flicker exposure")
        )
        lags = tally.values["lag"]
        print(
            f"| {name} | {noise:.3f} | {exposure:.3f} | "
            f"{statistics.fmean(lags):z.1f} ({max(lags, key=abs):z.1f}) | "
            f"{tally.mean('pointing moving'):.3f} | {tally.mean('pointing passed'):.3f} | "
            f"{max(tally.values['recover']):.0f} | {1000 * tally.seconds / tally.frames:.2f} |"
        )


if __name__ == "__main__":
    main()
