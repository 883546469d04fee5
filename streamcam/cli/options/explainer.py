"""What is explained, how, and what runs it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from streamcam.cli.options.declaring import Command, all_of, gathered, option
from streamcam.cli.options.values import CLASS_NAME, COUNT, COUNT_OR_AUTO, read_numbers, read_rank

_own_model_options = all_of(
    option(
        "--input-size",
        type=COUNT,
        metavar="PIXELS",
        help="Side of the square that the network was trained on. [default: the published one, or 224]",
    ),
    option(
        "--mean",
        callback=read_numbers,
        metavar="R,G,B",
        help="Mean of each channel on a scale of 0 to 1; one number for a grey input. "
        "[default: the published ones, or ImageNet's]",
    ),
    option(
        "--std",
        callback=read_numbers,
        metavar="R,G,B",
        help="Standard deviation of each channel, likewise.",
    ),
    option(
        "--logits-key",
        metavar="KEY",
        help="Where the logits stand in what the network returns: a key, or a number in a list.",
    ),
    option(
        "--activation",
        type=click.Choice(["softmax", "sigmoid"]),
        help="What makes probabilities of logits. [default: softmax; sigmoid for a single logit]",
    ),
)

own_model_options = gathered("own_model", _own_model_options)
"""For networks of the user's own."""

fit_option = option(
    "--fit",
    metavar="NAME",
    help="How a frame meets the network: full (own shape), stretch, crop, pad. "
    "[default: full where the network takes any shape, else stretch]",
)

_network_options = all_of(
    option(
        "--model",
        default="efficientnet_lite0",
        show_default=True,
        metavar="NAME",
        help="The network to explain: the built-in one, a torchvision classifier (resnet50), timm:NAME, or "
        "a function of your own that makes one (package.module:factory); streamcam models lists them.",
    ),
    option(
        "--weights",
        default="default",
        metavar="FILE",
        help="A .safetensors or .pth file, the name of other published weights (IMAGENET1K_V1), or 'none' "
        "for an untrained network. [default: the published ones]",
    ),
    option(
        "--labels",
        metavar="FILE",
        help="Class names, one a line or JSON; or 'imagenet'. [default: the published ones]",
    ),
    _own_model_options,
    option(
        "--device",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="Where to compute: auto, cpu, cuda, mps, openvino:GPU, openvino:NPU.",
    ),
    option(
        "--precision",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="What the network computes in: auto, fp32, bf16, fp16. Maps are always float32.",
    ),
    option(
        "--backend",
        default="auto",
        show_default=True,
        metavar="NAME",
        help="What runs the network up to the target layer: openvino, torch, or auto for the quicker.",
    ),
    fit_option,
)
"""What is explained, and how it is run."""

_batch_option = option(
    "--batch",
    "batch_size",
    type=COUNT_OR_AUTO,
    default="auto",
    show_default=True,
    metavar="NUMBER",
    help="How many frames go through the network at once; auto chooses by device and memory.",
)

_explanation_options = all_of(
    option(
        "--method",
        default="gradcam",
        show_default=True,
        metavar="NAME",
        help="How the map is computed; streamcam methods lists the ways.",
    ),
    option(
        "--target-layer",
        default="auto",
        metavar="NAME",
        help="The layer to explain, or several (layer3+layer4); streamcam layers MODEL lists them. "
        "[default: the last one with a spatial grid]",
    ),
    option(
        "--class",
        "class_names",
        multiple=True,
        type=CLASS_NAME,
        metavar="NAME|INDEX",
        help="The class to explain; part of its name will do. Several times for several, each in a colour of "
        "its own. [default: each frame's most probable one]",
    ),
    option(
        "--target",
        callback=read_rank,
        metavar="topK",
        help="Explain each frame's K most probable classes, as in top3.",
    ),
    option(
        "--against",
        metavar="NAME|INDEX",
        help="Explain what speaks for the class rather than for this one.",
    ),
    option(
        "--signed",
        is_flag=True,
        help="Show what lowers the score too: red speaks for the class, blue against it.",
    ),
    option(
        "--top-k",
        type=COUNT,
        default=3,
        show_default=True,
        metavar="NUMBER",
        help="How many predicted labels to show.",
    ),
)
"""What is asked of the network."""


def explainer_options(*, live: bool) -> Callable[[Command], Command]:
    """Add what `streamcam.Explainer` takes; the command gets it as one dict, ``explainer``.

    Args:
        live: Whether frames are explained one at a time, so that there are no batches to choose the size of.
    """
    batch = () if live else (_batch_option,)
    return gathered("explainer", _network_options, *batch, _explanation_options, to=_with_classes)


def _with_classes(values: dict[str, Any]) -> dict[str, Any]:
    """Make one list of the classes and ranks asked for."""
    classes, target = values.pop("class_names"), values.pop("target")
    return {**values, "classes": (*classes, *([target] if target else []))}
