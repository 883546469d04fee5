"""Options for the model, the method and the hardware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from streamcam.cli.options.declaring import Command, combine, grouped, option
from streamcam.cli.options.values import (
    CLASS_NAME,
    COUNT,
    COUNT_FROM_0,
    COUNT_OR_AUTO,
    NUMBER,
    read_above_zero,
    read_input_size,
    read_model,
    read_numbers,
    read_place,
    read_rank,
    read_shapes,
)

_own_model_options = combine(
    option(
        "--prompt",
        "prompts",
        multiple=True,
        metavar="TEXT",
        help="A text to compare images with, for networks like clip:NAME. Repeat it: each is a class.",
    ),
    option(
        "--template",
        "templates",
        multiple=True,
        metavar="TEXT",
        help="A sentence with {} in the place of a prompt, as 'a photo of a {}'. Repeat it to average over "
        "several.",
    ),
    option(
        "--input-size",
        callback=read_input_size,
        metavar="PIXELS|WxH",
        help="Side of the square that the network was trained on, or width and height, as in 128x256. "
        "[default: the published one, or 224]",
    ),
    option(
        "--mean",
        callback=read_numbers,
        metavar="R,G,B",
        help="Mean of each channel on a scale of 0 to 1; one number for a gray input. "
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
        help="Where to find the logits in the network's output: a key of a dict, or an index of a list.",
    ),
    option(
        "--activation",
        type=click.Choice(["softmax", "sigmoid", "none", "value"]),
        help="How logits become probabilities; none if the network returns probabilities, value for a "
        "regressor. [default: softmax; for a single output value, or sigmoid if there are two labels; none "
        "if the network ends in softmax or a sigmoid]",
    ),
    option(
        "--weights-key",
        metavar="KEY",
        help="Where the weights are in their file, if it has several: an entry, as model or model_ema, or "
        "what the names of one network begin with. [default: averaged ones, where there are]",
    ),
    option(
        "--trust-pickle",
        is_flag=True,
        help="Let a file of weights run code, as that of a whole network does when it is read. Only for "
        "files from people you trust.",
    ),
    option(
        "--num-classes",
        type=COUNT,
        metavar="NUMBER",
        help="Classes of an untrained network, or of your own function, which is called with "
        "num_classes=NUMBER. [default: read from the file of weights]",
    ),
)

own_model_options = grouped("own_model", _own_model_options)
"""Options that describe your own network."""

fit_option = option(
    "--fit",
    metavar="NAME",
    help="How a frame is fitted to the network's input: full (at the frame's shape), stretch, crop, pad. "
    "[default: full if the network takes any shape, else stretch]",
)

_weights_options = combine(
    option(
        "--weights",
        default_of="load_model",
        show_default=False,
        metavar="FILE",
        help="A .safetensors or .pth file, the name of other published weights (IMAGENET1K_V1), or 'none' "
        "for an untrained network. [default: the published ones]",
    ),
    option(
        "--labels",
        metavar="FILE",
        help="File of class names, one per line or JSON; or 'imagenet'. [default: the published ones]",
    ),
)

_model_options = combine(
    option(
        "--model",
        "name",
        default_of="load_model",
        callback=read_model,
        metavar="NAME",
        help="The network to explain: the built-in one, a torchvision classifier (resnet50), detection:NAME, "
        "segmentation:NAME, video:NAME for clips, timm:NAME, clip:NAME with a --prompt, hf:FOLDER, "
        "ultralytics:NAME, a file (net.onnx, .xml, .pt2, .pt), what streamcam export wrote (net.explain), or "
        "your own function that returns one (package.module:factory). streamcam models lists them.",
    ),
    _weights_options,
    option(
        "--confidence",
        type=NUMBER,
        metavar="0..1",
        help="Of a detector: the least score of an object. [default: 0.5]",
    ),
    option(
        "--iou",
        type=NUMBER,
        metavar="0..1",
        help="Of a detector: boxes of one class that overlap more than this are one object. "
        "[default: 0.5; 1, which keeps all, for those of hf:FOLDER]",
    ),
    option(
        "--max-detections",
        type=COUNT,
        metavar="NUMBER",
        help="Of a detector: the most objects in a frame. [default: 20]",
    ),
    _own_model_options,
)
"""Which network, and how it is loaded."""

model_options = grouped("model", _model_options)
"""The options of `load_model`."""

_precision_option = option(
    "--precision",
    default_of="Explainer",
    metavar="NAME",
    help="Number format of the network: auto, fp32, bf16, fp16, or int8, which auto never chooses: for "
    "large networks on processors, quicker and a little less exact. Maps are always float32.",
)

_calibrate_option = option(
    "--calibrate",
    "calibration",
    metavar="VIDEO",
    help="Of int8: the video, or folder of images, that the network is quantized by. "
    "[default: INPUT; live its first frames]",
)

_hardware_options = combine(
    option(
        "--device",
        default_of="Explainer",
        metavar="NAME",
        help="Where to compute: auto, cpu, cuda, mps, openvino:GPU, openvino:NPU.",
    ),
    _precision_option,
    _calibrate_option,
    option(
        "--backend",
        default_of="Explainer",
        metavar="NAME",
        help="What runs the network up to the target layer: openvino, torch, or auto for the faster one.",
    ),
    fit_option,
)
"""Device, precision, backend and input fit."""

_batch_option = option(
    "--batch",
    "batch_size",
    type=COUNT_OR_AUTO,
    default_of="Explainer",
    metavar="NUMBER",
    help="Frames per batch; auto chooses by device and memory.",
)

_target_layer_option = option(
    "--target-layer",
    default_of="Explainer",
    show_default=False,
    metavar="NAME",
    help="The layer to explain, or several (layer3+layer4); streamcam layers MODEL lists them. "
    "[default: the last one with a spatial grid]",
)

_method_options = combine(
    option(
        "--method",
        default_of="Explainer",
        metavar="NAME",
        help="How the map is computed; streamcam methods lists all methods. auto is gradcam, hirescam for "
        "--target instances and for segmenters, and reciprocam for a network without gradients; "
        "best:FILE.json is the one that streamcam evaluate --json recommends; best evaluates some on the "
        "first minute of a video before it is rendered.",
    ),
    _target_layer_option,
)

_signed_option = option(
    "--signed",
    is_flag=True,
    help="Also show evidence against the class, in blue; evidence for it is red.",
)

_explanation_options = combine(
    _method_options,
    option(
        "--class",
        "class_names",
        multiple=True,
        type=CLASS_NAME,
        metavar="NAME|INDEX",
        help="The class to explain; a part of its name is enough. Repeat it for several classes, each in a "
        "different color. [default: the most probable class of each frame]",
    ),
    option(
        "--target",
        callback=read_rank,
        metavar="topK|instances",
        help="Explain the K most probable classes of each frame, as in top3; of a detector also each object "
        "by itself (instances), or one of them (instance2).",
    ),
    option(
        "--against",
        metavar="NAME|INDEX",
        help="Explain what distinguishes the class from this other class.",
    ),
    _signed_option,
    option(
        "--at",
        callback=read_place,
        metavar="X,Y",
        help="Of segmenters: explain what the network says at this point of the frame, in pixels, or in "
        "the box LEFT,TOP,RIGHT,BOTTOM. [default: everywhere]",
    ),
    option(
        "--reference",
        metavar="PICTURE",
        help="A picture to compare frames with: explains how similar they are to it, by what the network "
        "says of both, or as a siamese network of two images.",
    ),
    option(
        "--clip-fps",
        type=NUMBER,
        callback=read_above_zero,
        metavar="NUMBER",
        help="Of networks that take clips: how many frames of a second are in a clip. "
        "[default: those that it was evaluated with]",
    ),
    option(
        "--clip-stride",
        type=COUNT,
        metavar="FRAMES",
        help="Of networks that take clips: how many of a clip's frames lie between the beginnings of two "
        "clips; fewer are smoother and slower. [default: a quarter of a clip]",
    ),
    option(
        "--top-k",
        type=COUNT_FROM_0,
        default_of="Explainer",
        metavar="NUMBER",
        help="How many predicted labels to show; 0 for none.",
    ),
)
"""The explanation: method, layer, classes."""


def explainer_options(*, live: bool) -> Callable[[Command], Command]:
    """Add the options for a model and its explainer; a command receives them as two dicts.

    ``model`` is for `streamcam.load_model`, ``explainer`` for `streamcam.Explainer`.

    Args:
        live: Whether frames are explained one at a time, without batches.
    """
    batch = () if live else (_batch_option,)
    return combine(
        model_options,
        grouped("explainer", _hardware_options, *batch, _explanation_options, to=_with_classes),
    )


shape_option = option(
    "--shape",
    "shapes",
    multiple=True,
    callback=read_shapes,
    metavar="W:H",
    help="A shape of frames to explain, as 16:9 or 640x480, for --fit full. Repeat it. "
    "[default: 16:9, 4:3, 1:1, 3:4 and 9:16]",
)

named_model_options = grouped("model", _weights_options, _own_model_options)
"""The options of `load_model` for commands that take the network's name as an argument."""

prepared_explainer_options = grouped(
    "explainer", _target_layer_option, _signed_option, fit_option, _precision_option, _calibrate_option
)
"""The options of `streamcam.Explainer` that a compiled explanation is made for, without the method."""

exported_explainer_options = grouped(
    "explainer",
    _method_options,
    _signed_option,
    fit_option,
    _precision_option,
    option(
        "--batch",
        "batch_size",
        type=COUNT,
        default=1,
        show_default=True,
        metavar="NUMBER",
        help="Frames per batch, for good: shorter ones are filled up, also live.",
    ),
)
"""The options of `streamcam.Explainer` that are settled when it is exported."""


def _with_classes(values: dict[str, Any]) -> dict[str, Any]:
    """Merge --class and --target into ``classes``."""
    classes, target = values.pop("class_names"), values.pop("target")
    return {**values, "classes": (*classes, *([target] if target else []))}
