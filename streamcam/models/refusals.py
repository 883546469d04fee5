"""Naming the kind of a network that does not run on an image, or answers with no logits, and the way out.

What a network takes is found out by trying: advice is given only where following it was seen to work.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import itertools
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import torch
from torch import nn

from streamcam.errors import ModelError
from streamcam.models.base import InputSpec
from streamcam.models.compiled import is_exported
from streamcam.models.refused_answers import has_boxes

_SQUARES = (
    *(224, 256, 384, 299, 112, 128, 64, 96, 32, 28, 84),
    *(160, 192, 240, 288, 320, 336, 448, 480, 512, 640),
)
_OBLONGS = ((128, 256), (64, 128), (128, 384), (192, 256), (192, 384), (640, 480), (100, 32), (128, 32))
"""(width, height) of networks for people, scenes and words, which some take with the sides exchanged."""
_CHANNELS = (2, 4, 5, 6, 8, 9, 10, 12, 13)
_MOMENTS = (16, 8, 32, 4, 64)
_BATCHES = (2, 4, 8, 16, 32, 64)
_PREPARED = "methods prepare(pixels) and companions(frames) can make its input of RGB and of a second file"
_TEXT_PARAMETERS = {"input_ids", "text", "texts", "tokens", "captions", "prompt", "prompts"}

Size = tuple[int, int]
"""(width, height) in pixels."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Trial:
    """An input that a network may take, and what it means that it does."""

    says: str
    """The kind and the way out, as the end of a sentence that begins with the network's name."""
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    images: int = 1
    """Number of images in it, and of answers that must come back."""
    turned: _Trial | None = None
    """The same with the sides of the images exchanged, and what it means if that runs as well."""


def refuse_input(
    name: str, module: nn.Module, error: Exception, spec: InputSpec, device: str | torch.device = "cpu"
) -> ModelError:
    """Build the error for a network that raised on a trial image.

    Args:
        name: What the message calls the network.
        module: The network, in evaluation mode.
        error: What it raised.
        spec: The input that was tried.
        device: Where the network is.
    """
    reason = in_words(error)
    if re.search("QuantizedCPU|quantized::", str(error)):
        return ModelError(
            f"{name} is quantized and takes quantized numbers; return it between a QuantStub and a "
            "DeQuantStub, or the network that it was made from"
        )
    missing = _missing_parameters(module)
    for trial in _trials(spec, str(error), missing, device):
        for answer in _answers(module, trial):
            if isinstance(answer, torch.Tensor) and answer.ndim and len(answer) != trial.images:
                continue
            meant = trial
            if trial.turned is not None and _answers(module, trial.turned):
                meant = trial.turned
            says = _detector_says(module) if has_boxes(answer) else meant.says
            return ModelError(f"{name} {says}")
    if missing:
        kind, made = "is a network for images and texts", ""
        if not _takes_texts(missing):
            kind, made = "takes more than an image", f"; {_PREPARED}"
        return ModelError(
            f"{name} {kind} ({', '.join(missing)}); "
            f"return a torch.nn.Module around it that takes only an image and adds the rest{made}"
        )
    width, height = spec.sides
    return ModelError(
        f"{name} does not run on an image of {spec.channels} channels and {width}x{height} pixels "
        f"({reason}), nor on those of other common sizes; return a torch.nn.Module around it that makes its "
        "input of such images, or set `input_size`, `mean` and `std` to what it takes"
    )


def refuse_layers(name: str, module: nn.Module, error: ModelError, methods: Iterable[str]) -> ModelError:
    """Build the error for a network without a layer to explain.

    Args:
        name: What the message calls the network.
        module: The network.
        error: Why no layer was found.
        methods: The methods that need none.
    """
    able = " or ".join(f"`method={method!r}`" for method in methods)
    kind = _kind_of_program(module)
    if kind is None:
        joined = ", or" if ";" in str(error) else ";"
        return ModelError(f"{error}{joined} use {able}, which needs none")
    return ModelError(
        f"{name} is {kind}, whose layers cannot be read; use {able}, which needs none, or return the "
        "torch.nn.Module that it was made from"
    )


def _kind_of_program(module: nn.Module) -> str | None:
    if isinstance(module, torch.jit.ScriptModule):
        return "a TorchScript program"
    return "a program of torch.export" if is_exported(module) else None


def in_words(error: Exception) -> str:
    """Describe an error of any library on one line."""
    message = " ".join(str(error).split())
    if len(message) > 300:
        message = message[:300].rstrip() + "…"
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def takes_two_images(module: nn.Module, spec: InputSpec) -> bool:
    """Return whether a network takes two images, as siamese networks do, and nothing else.

    Args:
        module: The network, in evaluation mode, on the CPU.
        spec: Its input.
    """
    missing = _missing_parameters(module)
    if len(missing) != 2 or _takes_texts(missing):
        return False
    image = torch.zeros(1, spec.channels, *reversed(spec.sides))
    return bool(_answers(module, _Trial("", (image, image))))


def _missing_parameters(module: nn.Module) -> list[str]:
    """Return the parameters of a network that takes more than one, or needs keywords or texts."""
    if isinstance(module, torch.jit.ScriptModule):
        method: Any = module.forward
        _itself, *given = method.schema.arguments
        needed = [one.name for one in given if not one.has_default_value()]
        return needed if len(needed) > 1 else []
    try:
        parameters = list(inspect.signature(module.forward).parameters.values())
    except (TypeError, ValueError):  # of compiled code
        return []
    named = [one for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)]
    needed = [one.name for one in named if one.default is one.empty]
    by_keyword = any(one.kind is one.KEYWORD_ONLY and one.default is one.empty for one in named)
    if len(needed) > 1 or by_keyword:
        return needed
    first_two = [one.name for one in named[:2]]
    return first_two if _takes_texts(first_two) else []


def _takes_texts(parameters: Iterable[str]) -> bool:
    return not _TEXT_PARAMETERS.isdisjoint(parameters)


def _answers(module: nn.Module, trial: _Trial) -> list[object]:
    """Return what a network answers, alone; nothing if it does not run."""
    # Whatever a network raises, or warns of, on what it does not take.
    with contextlib.suppress(Exception), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        return [module(*trial.arguments, **trial.keywords)]
    return []


def _trials(spec: InputSpec, text: str, missing: list[str], device: str | torch.device) -> Iterator[_Trial]:
    """Yield what the network may take, the likeliest first.

    Args:
        spec: The input that was tried in vain.
        text: What the network said.
        missing: From `_missing_parameters`.
        device: Where the network is.
    """
    wrap = "return a torch.nn.Module around it that"
    image = torch.zeros(1, spec.channels, *reversed(spec.sides), device=device)
    if missing:
        for keyword in missing if len(missing) == 1 else ():
            yield _Trial(
                f"takes its image by the keyword {keyword}; {wrap} passes it so", keywords={keyword: image}
            )
        return
    yield from _sizes(spec, text, device)
    for count in _BATCHES:
        yield _Trial(
            f"takes only batches of {count} images; {wrap} gives it each image {count} times and returns "
            "the first answer, and use `method='occlusion'`",
            (image.repeat(count, 1, 1, 1),),
            images=count,
        )
    yield from _channels(spec, text, device)
    for dtype in (torch.uint8, torch.int64):
        yield _Trial(
            f"takes whole numbers from 0 to 255; give its model InputSpec(dtype={dtype})", (image.to(dtype),)
        )
    yield _Trial(
        f"takes images with channels last (N, H, W, C); {wrap} permutes them",
        (image.permute(0, 2, 3, 1).contiguous(),),
    )
    yield _Trial(f"takes a list of images (C, H, W); {wrap} makes it of the batch", ([image[0]],))
    yield _Trial(
        f"takes two images in one argument, as siamese networks do; {wrap} takes them in two, and give the "
        "second one with `reference`",
        ((image, image),),
    )
    yield from _clips(spec, device)


def _sizes(spec: InputSpec, text: str, device: str | torch.device) -> Iterator[_Trial]:
    for size in _likely_sizes(text):
        if size == spec.sides:  # what it raised has nothing to do with the size
            continue
        yield _sized(
            spec.channels,
            size,
            device,
            lambda sides, setting: f"takes images of {sides} pixels; set `input_size` to {setting}",
        )


def _sized(channels: int, size: Size, device: str | torch.device, says: Callable[[str, str], str]) -> _Trial:
    """Make a trial of images of a size.

    Args:
        channels: Their number of channels.
        size: Their size.
        device: Where the network is.
        says: Makes what the trial says of the sides, and of what to set.
    """
    width, height = size

    def images(width: int, height: int) -> tuple[torch.Tensor]:
        return (torch.zeros(1, channels, height, width, device=device),)

    turned = None
    if width != height:
        either = says(f"{width}x{height} or {height}x{width}", "the one that it was trained on")
        turned = _Trial(either, images(height, width))
    return _Trial(says(f"{width}x{height}", _in_pixels(size)), images(width, height), turned=turned)


def _channels(spec: InputSpec, text: str, device: str | torch.device) -> Iterator[_Trial]:
    sizes = [spec.sides, *_likely_sizes(text)]
    for channels, kind in ((1, "gray images"), (3, "RGB images")):
        values = "one value" if channels == 1 else "three values"
        for size in sizes if channels != spec.channels else ():
            says = f"takes {kind} of {{}} pixels; set `mean` and `std` to {values} each"
            says += "" if size == spec.sides else ", and `input_size` to {}"
            yield _sized(channels, size, device, says.format)
    for channels, size in itertools.product(_CHANNELS, (spec.sides, (84, 84), (64, 64))):
        yield _Trial(
            f"takes images of {channels} channels, and frames have 3 (or 1 in gray); "
            "give it a method prepare(pixels) that makes them of RGB, and companions(frames) for those of a "
            "second file",
            (torch.zeros(1, channels, *reversed(size), device=device),),
        )


def _clips(spec: InputSpec, device: str | torch.device) -> Iterator[_Trial]:
    yield _Trial(
        "takes clips or several images (N, T, C, H, W), not single ones; return a torch.nn.Module around it "
        "that gives it one image as a clip, images[:, None]",
        (torch.zeros(1, 1, spec.channels, *reversed(spec.sides), device=device),),
    )
    for moments, size in itertools.product(_MOMENTS, dict.fromkeys((spec.sides, (112, 112)))):
        width, height = size
        sides = _in_pixels(size) if width == height else f"({width}, {height})"
        clip = (
            "return streamcam.models.ClipClassifier(name, network, labels, "
            f"streamcam.models.InputSpec({sides}), 'none', frames={moments}, rate=10), with the frames, "
            "and how many of a second, that it was trained on"
        )
        channels_first = torch.zeros(1, spec.channels, moments, height, width, device=device)
        yield _Trial(f"takes clips or volumes (N, C, T, H, W), not single images; {clip}", (channels_first,))
        yield _Trial(
            f"takes clips or several images (N, T, C, H, W), not single ones; {clip}, and as "
            "network a torch.nn.Module around it that swaps T and C",
            (channels_first.transpose(1, 2).contiguous(),),
        )
        yield _Trial(
            "takes volumes of one channel, and frames have no depth; "
            "return a torch.nn.Module around it that makes its input of an image",
            (channels_first[:, :1].contiguous(),),
        )


def _likely_sizes(text: str) -> Iterable[Size]:
    """Return sizes to try: those of which a network's error speaks first, then common ones."""
    text = re.sub(r"line \d+|:\d+", "", text)  # of the network's code
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    common = {side for size in (*_OBLONGS, *itertools.pairwise(_SQUARES)) for side in size}
    sides = [number for number in numbers if 8 <= number <= 1024 and (number % 8 == 0 or number in common)]
    pairs = [(width, height) for height, width in itertools.pairwise(sides) if width != height]
    squares = [(side, side) for side in (*sides[:8], *_SQUARES)]
    oblongs = (*pairs[:8], *_OBLONGS)
    return dict.fromkeys((*pairs[:8], *squares, *_OBLONGS, *((high, wide) for wide, high in oblongs)))


def _in_pixels(size: Size) -> str:
    return str(size[0]) if size[0] == size[1] else f"{size[0]}x{size[1]}"


def _detector_says(module: nn.Module) -> str:
    """Say what to do with a detector that answers with boxes, as the end of a sentence."""
    kind = _kind_of_program(module)
    if kind is not None:
        return (
            f"is a detector in {kind}, which returns only the boxes that it kept; name its network, as "
            "detection:ssd300_vgg16, and set `weights` to a file of its state_dict()"
        )
    return (
        "is a detector: it returns boxes; return a streamcam Model around it whose read() makes scores "
        "(N, classes) of that, as of each class's best box"
    )
