"""Measure what int8 saves on this processor, up to the target layer, against float32 and bfloat16.

    python benchmarks/int8.py PHOTOGRAPHS [--model resnet50 …] [--json FILE]

Processor time of a 224x224 image, in batches of four, the precisions in turn: median (least to most) of nine
runs. Networks other than the built-in one are untrained, so their time counts and their maps do not.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from figures import Figure, add_json_option, machine, write_figures
from PIL import Image

from streamcam import Explainer, load_model
from streamcam.explain.backends.quantization import quantize
from streamcam.models.default_model import DEFAULT_MODEL

ROUNDS, IMAGES, BATCH, CALIBRATED = 9, 8, 4, 8


def main() -> None:
    """Print a row for each network and each way to quantize it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--model", action="append")
    add_json_option(parser)
    arguments = parser.parse_args()
    paths = sorted(arguments.photographs.glob("*.[Jj]*"))[:IMAGES]
    pixels = np.stack([np.asarray(Image.open(path).convert("RGB").resize((224, 224))) for path in paths])
    print(f"Machine: {machine()}\n")
    print("| model | precision | CPU ms an image | float32's time by this | bfloat16's |")
    print("| --- | --- | --- | --- | --- |")
    figures: dict[str, list[float]] = {}
    for model in arguments.model or [DEFAULT_MODEL, "resnet50", "vgg16"]:
        spent = times(model, pixels)
        for name, values in spent.items():
            figures[f"{model} {name} CPU ms"] = values
            ratios = [
                Figure.of([one / other for one, other in zip(spent[exact], values, strict=True)])
                for exact in ("fp32", "bf16")
            ]
            print(f"| {model} | {name} | {Figure.of(values)} | {ratios[0]} | {ratios[1]} |", flush=True)
    write_figures(arguments.json, figures)


def times(model: str, pixels: np.ndarray) -> dict[str, list[float]]:
    """Return the processor milliseconds of each precision, measured in turn."""
    network = load_model(model, weights="default" if model == DEFAULT_MODEL else "none")
    explainer = Explainer(network, precision="fp32", fit="stretch")
    split = explainer.runner.split
    assert split is not None
    exact, _ = split.backbone_for(pixels[:BATCH])
    prepared = [explainer.preprocess(image).numpy() for image in pixels[:CALIBRATED]]
    names = ("int8", "int8, single channels in float32")
    quantized = [exact.with_model(each, "int8") for each in quantize(exact.model, prepared)]
    backbones = {
        "fp32": exact,
        "bf16": exact.in_precision("bf16"),
        **dict(zip(names, quantized, strict=False)),
    }
    spent: dict[str, list[float]] = {name: [] for name in backbones}
    for turn in range(ROUNDS + 1):
        for name, backbone in backbones.items():
            began_s = time.process_time()
            for start in range(0, len(pixels), BATCH):
                backbone.run(pixels[start : start + BATCH], BATCH)
            if turn:  # the first run compiles
                spent[name].append(1000 * (time.process_time() - began_s) / len(pixels))
    return spent


if __name__ == "__main__":
    main()
