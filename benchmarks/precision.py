"""Measure what bfloat16 saves on this processor, and how it changes labels, probabilities and maps.

    python benchmarks/precision.py [--photographs FOLDER] [--model efficientnet_lite0 …]

Prints for each model the processor time of explaining a frame of 768x432 in float32 and bfloat16, measured
alternately: median (smallest-largest) of five runs of 40 frames. With a folder of photographs, the default
model's predictions for them are compared.
"""

from __future__ import annotations

import argparse
import resource
import statistics
from pathlib import Path

import numpy as np
from PIL import Image

from streamcam import Explainer, load_model

ROUNDS, FRAMES, BATCH = 5, 40, 4
DEFAULT_MODEL = "efficientnet_lite0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--model", action="append")
    arguments = parser.parse_args()
    print("| model | fp32, CPU ms a frame | bf16, CPU ms a frame |\n| --- | --- | --- |")
    for model in arguments.model or [DEFAULT_MODEL, "resnet50"]:
        print(f"| {model} | {' | '.join(times(model))} |", flush=True)
    if arguments.photographs:
        compare(sorted(arguments.photographs.glob("*.[Jj]*")))


def load_explainer(model: str, precision: str) -> Explainer:
    weights = "default" if model == DEFAULT_MODEL else "none"
    network = load_model(model, weights=weights)
    return Explainer(network, precision=precision, batch_size=BATCH, top_k=1000)


def times(model: str) -> list[str]:
    """Measure both precisions in turn."""
    frames = list(np.random.default_rng(0).integers(0, 256, (FRAMES, 432, 768, 3), dtype=np.uint8))
    explainers = [load_explainer(model, precision) for precision in ("fp32", "bf16")]
    for explainer in explainers:
        explainer.explain(frames[:BATCH])  # compiles
    spent: list[list[float]] = [[], []]
    for _ in range(ROUNDS):
        for one, values in zip(explainers, spent, strict=True):
            before = processor_seconds()
            one.explain(frames)
            values.append(1000 * (processor_seconds() - before) / FRAMES)
    return [f"{statistics.median(times):.1f} ({min(times):.1f}-{max(times):.1f})" for times in spent]


def processor_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def compare(paths: list[Path]) -> None:
    """Print how far labels, probabilities and maps of photographs move."""
    images = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    both = [load_explainer(DEFAULT_MODEL, precision) for precision in ("fp32", "bf16")]
    exact, rounded = (explainer.explain(images) for explainer in both)
    moved, correlations, changed = [], [], 0
    for one, other in zip(exact, rounded, strict=True):
        was, now = ({p.index: p.probability for p in each.predictions} for each in (one, other))
        moved.append(max(abs(was[index] - now[index]) for index in was))
        best = one.predictions[0].index
        changed += other.predictions[0].index != best
        if best in other.heatmaps:
            maps = one.heatmaps[best].ravel(), other.heatmaps[best].ravel()
            correlations.append(float(np.corrcoef(*maps)[0, 1]))
    print(
        f"\n{len(images)} photographs: {changed} best labels changed; probabilities moved by at most "
        f"{max(moved):.4f}; maps correlate to at least {min(correlations):.5f}, on average "
        f"{statistics.mean(correlations):.5f}"
    )


if __name__ == "__main__":
    main()
