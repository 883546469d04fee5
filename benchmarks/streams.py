"""Compare two ways to run a batch up to the target layer: all cores on all of it, or a stream for each half.

    python benchmarks/streams.py [--model resnet50 …] [--rounds 7]

Batches of four images of 224x224, in the precision that `auto` chooses; both take turns. With a half for each
stream, threads wait for each other once a batch instead of after every layer. Prints images a second and
processor milliseconds an image, median (least to most), and the ratio within each pair.
"""

from __future__ import annotations

import argparse
import time
from unittest import mock

import numpy as np
from candidates import DEFAULT_MODEL
from figures import Figure, machine

from streamcam import Explainer, load_model

BATCH, BATCHES = 4, 8


def main() -> None:
    """Print a row for each network."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--model", action="append")
    parser.add_argument("--rounds", type=int, default=7)
    settings = parser.parse_args()
    print(f"Machine: {machine()}\n")
    print("| model | one stream, images/s | two streams, images/s | two by one | CPU ms, one | CPU ms, two |")
    print("| --- | --- | --- | --- | --- | --- |")
    for model in settings.model or [DEFAULT_MODEL, "resnet50", "vgg16", "vit_b_16"]:
        print(f"| {model} | {' | '.join(map(str, compare(model, settings.rounds)))} |", flush=True)


def compare(model: str, rounds: int) -> list[Figure]:
    """Return speeds of both, their ratio, and the processor milliseconds of both."""
    network = load_model(model, weights="default" if model == DEFAULT_MODEL else "none")
    explainer = Explainer(network, fit="stretch", batch_size=BATCH)
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, 224, 224, 3), dtype=np.uint8)
    split = explainer.runner.split
    assert split is not None
    backbone, _ = split.backbone_for(pixels)
    requests = []
    for parts in (1, 2):
        with mock.patch("streamcam.explain.backends.backbone.parts_of", lambda *_, parts=parts: parts):
            requests.append(backbone.in_precision(backbone.precision).request_for(pixels.shape))
    speeds: list[list[float]] = [[], []]
    spent: list[list[float]] = [[], []]
    for turn in range(rounds + 1):
        for which, request in enumerate(requests):
            began_s, began_cpu_s = time.perf_counter(), time.process_time()
            for _ in range(BATCHES):
                request.run(pixels, BATCH)
            if turn:  # the first one warms up
                count = BATCH * BATCHES
                speeds[which].append(count / (time.perf_counter() - began_s))
                spent[which].append(1000 * (time.process_time() - began_cpu_s) / count)
    ratios = [two / one for one, two in zip(*speeds, strict=True)]
    return [Figure.of(values) for values in (*speeds, ratios, *spent)]


if __name__ == "__main__":
    main()
