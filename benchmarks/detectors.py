"""What the maps of a detector cost, beside running it once without any.

    python benchmarks/detectors.py [--rounds 12] [--size 320] [--level 0] [NAME ...]

Networks are untrained, which costs the same, and report ten objects. Each round times, one after another, the
network alone, the map of a class that is found (gradcam) and a map for each of the ten objects (hirescam),
preprocessing included; printed are the median ratio of a round and its quartiles. Processor time is measured,
on one thread, so that other work on the machine does not matter. The aims are 1.3 and 2. With --level all ten
lie at one resolution, 0 for the finest, and the map of a class is that of one of them.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

import streamcam
from streamcam.models import Candidates, known_models
from streamcam.models.check_images import check_images

OBJECTS = 10


class AtOneLevel(nn.Module):
    """A detector of torchvision that is certain of nothing but at one resolution."""

    def __init__(self, network: Any, level: int) -> None:
        super().__init__()
        self.levels = network.levels
        self.network = network
        self._level = level
        self._places = [0] * len(self.levels)
        for number, each in enumerate(self.levels):
            each.register_forward_hook(functools.partial(self._note, number))

    def _note(self, number: int, *call: Any) -> None:
        self._places[number] = call[2].shape[-2:].numel()

    def forward(self, images: torch.Tensor) -> list[Candidates]:
        """Return the network's candidates, those elsewhere without a score."""
        answer = self.network(images)
        scores = answer[0].scores
        before, within = sum(self._places[: self._level]), self._places[self._level]
        at_each = len(scores) // sum(self._places)
        kept = torch.zeros(len(scores), 1, dtype=torch.bool)
        kept[before * at_each : (before + within) * at_each] = True
        return [
            dataclasses.replace(each, scores=torch.where(kept, each.scores, -each.scores)) for each in answer
        ]


def measure(name: str, size: int, rounds: int, level: int | None) -> None:
    """Print a row of the table."""
    model = streamcam.load_model(
        name,
        weights="none",
        input_size=None if "ssd" in name else size,
        confidence=0.0,
        iou=1.0,
        max_detections=OBJECTS,
    )
    if level is not None:
        model = model.with_module(AtOneLevel(model.module, level))
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
    names = [info.name for info in known_models("detection:")]
    parser.add_argument(
        "names", nargs="*", default=names, metavar="NAME", help="all of torchvision's if none"
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--size", type=int, default=320, help="short side of the input")
    parser.add_argument("--level", type=int, help="where objects lie, in networks of one stage")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print("| network | alone, ms | one class | ten objects |\n| --- | --- | --- | --- |")
    for name in arguments.names:
        measure(name, arguments.size, arguments.rounds, arguments.level)


if __name__ == "__main__":
    main()
