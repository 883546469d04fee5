"""What the maps of a detector cost, beside running it once without any.

    python benchmarks/detectors.py [--rounds 12] [--size 320] [NAME ...]

Networks are untrained, which costs the same, and report ten objects. Each round times, one after another, the
network alone, the map of a class that is found (gradcam) and a map for each of the ten objects (hirescam),
preprocessing included; printed are the median ratio of a round and its quartiles. Processor time is measured,
on one thread, so that other work on the machine does not matter. The aims are 1.3 and 2.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

import streamcam
from streamcam.models.check_images import check_images

NAMES = (
    "detection:ssdlite320_mobilenet_v3_large",
    "detection:fasterrcnn_mobilenet_v3_large_320_fpn",
    "detection:retinanet_resnet50_fpn",
    "detection:fcos_resnet50_fpn",
)
OBJECTS = 10


def measure(name: str, size: int, rounds: int) -> None:
    """Print a row of the table."""
    settings = {"confidence": 0.0, "iou": 1.0, "max_detections": OBJECTS}
    model = streamcam.load_model(name, weights="none", input_size=size, **settings)
    each = streamcam.Explainer(model, classes="instances", batch_size=1)
    image = check_images(360, 640, 1)[0]
    (explanation,) = each.explain(image)
    assert len(explanation.heatmaps) == OBJECTS
    found = explanation.instances[0].class_index  # of a class that is not found, the gradient is free
    one = streamcam.Explainer(model, classes=found, method="gradcam", batch_size=1)

    def alone() -> None:
        with torch.no_grad():
            model.forward(one.preprocess(image))

    runs: tuple[Callable[[], object], ...] = (alone, lambda: one.explain(image), lambda: each.explain(image))
    for run in runs:
        run()
    times_s = np.array([[_time(run) for run in runs] for _ in range(rounds)])
    ratios = times_s[:, 1:] / times_s[:, :1]
    low, middle, high = np.percentile(ratios, (25, 50, 75), axis=0)
    cells = [f"{m:.2f} ({a:.2f}-{b:.2f})" for a, m, b in zip(low, middle, high, strict=True)]
    shown = name.removeprefix("detection:")
    print(f"| {shown} | {np.median(times_s[:, 0]) * 1e3:.0f} | {cells[0]} | {cells[1]} |", flush=True)


def _time(run: Callable[[], object]) -> float:
    began_s = time.process_time()
    run()
    return time.process_time() - began_s


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--size", type=int, default=320, help="short side of the input")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | alone, ms | one class | ten objects |\n| --- | --- | --- | --- |")
    for name in arguments.names:
        measure(name, arguments.size, arguments.rounds)


if __name__ == "__main__":
    main()
