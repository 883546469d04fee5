"""Activation maximization: make images that a class or a channel of a network likes best.

Olah, Mordvintsev and Schubert 2017, "Feature Visualization", https://doi.org/10.23915/distill.00007.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from streamcam.errors import InvalidArgumentError, ModelError
from streamcam.explain.cores import available_cores
from streamcam.explain.devices import choose_device
from streamcam.explain.hooks import evaluating, without_inference_tensors
from streamcam.explain.preparation import PreparedModel, prepare_model
from streamcam.explain.threads import torch_threads
from streamcam.media.scaling import Resampler
from streamcam.models import Layer, Model, choose_target_layers
from streamcam.models.kinds import check_takes_images
from streamcam.sources.given_images import frame_of
from streamcam.synthesis.dead_units import LeakyGradients
from streamcam.synthesis.fourier import FourierImages
from streamcam.synthesis.views import fixed_view, random_views

if TYPE_CHECKING:
    from streamcam.sources.given_images import ImageLike

_CANVAS = 1.15
"""Sides of the images, as multiples of those of the network's input: views are cut out of them."""

_SCORE_WEIGHT = 0.3
"""Weight of a class's score beside the logarithm of its probability."""

_DISTANCE = 200.0
"""Weight of the mean square difference from the image that was begun with."""

_LEARNING_RATE = 0.07
_LEAST_PROBABILITY = 1e-12

CROPS: tuple[tuple[float, tuple[float, float]], ...] = (
    (1.0, (0.0, 0.0)),
    (_CANVAS, (0.0, 0.0)),
    (0.85, (0.0, 0.0)),
    *((0.9, (x, y)) for x in (-0.08, 0.08) for y in (-0.08, 0.08)),
)
"""Views in which finished images are classified again: scale, and how far from the center."""

_log = logging.getLogger("streamcam.synthesis")


@dataclasses.dataclass(frozen=True, slots=True)
class MaximizeSettings:
    """Settings of images that are made for classes and channels."""

    classes: Sequence[int | str] = ()
    """Classes, by index or name, an image each."""
    channels: Sequence[str] = ()
    """Channels of layers, as ``"layer4:12"``, an image each, after those of the classes."""
    start: ImageLike | None = None
    """The image to begin with, and to stay near to: what would have to be there. Noise if None."""
    steps: int = 256
    """Steps of gradient ascent."""
    seed: int = 0
    """Of the noise and of the random views."""
    device: str = "auto"
    """Where to compute: ``"auto"``, ``"cpu"``, ``"cuda"`` …"""

    def check(self) -> None:
        """Check what can be checked without the network.

        Raises:
            InvalidArgumentError: naming the first setting that cannot be used.
        """
        if not self.classes and not self.channels:
            raise InvalidArgumentError(
                "nothing to make: name a class with `classes`, or a channel with `channels`"
            )
        if self.steps < 1:
            raise InvalidArgumentError(f"`steps` counts from 1, not {self.steps}")
        for channel in self.channels:
            _split(channel)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class MaximizedImage:
    """An image that was made for a class or a channel."""

    name: str
    """The class's label, or the channel as it was named."""
    pixels: NDArray[np.uint8]
    """RGB, uint8 (H, W, 3)."""
    probability: float | None
    """Of the class: seen from the middle, or on the way in the last view; None for a channel, or a network
    without probabilities."""
    least_probability: float | None = None
    """The lowest in any of `CROPS`; None as above, and on the way."""
    answer: float | None = None
    """Of a channel: its mean, seen from the middle; None for a class, and on the way."""
    is_dead: bool = False
    """Whether the channel is zero at every place: nothing was found that it answers to."""


def maximize(
    model: Model,
    settings: MaximizeSettings,
    *,
    on_step: Callable[[int, Callable[[], list[MaximizedImage]]], None] = lambda _step, _images: None,
) -> list[MaximizedImage]:
    """Make an image for each class and channel, by gradient ascent through the network.

    Args:
        model: A network with gradients that takes single RGB or gray images.
        settings: What to make.
        on_step: Called after every step with how many are done, and a function that returns the images so
            far.

    Returns:
        The images, those of the classes first.

    Raises:
        StreamcamError: one of its children, if the network lacks a class, layer or channel, or cannot be
            differentiated with respect to its input.
    """
    settings.check()
    model = without_inference_tensors(model.uncompiled().in_float32())
    _check_model(model)
    device = choose_device(settings.device).torch
    model.module.to(device)
    with torch.inference_mode(False), evaluating(model.module), torch_threads(available_cores()):
        prepared = prepare_model(model, "stretch", device)
        return _Ascent(prepared, settings, device).run(on_step)


def _check_model(model: Model) -> None:
    if model.no_gradients is not None:
        raise InvalidArgumentError(
            f"{model.no_gradients}, so nothing can be maximized; use the network it was made of"
        )
    check_takes_images(model.kind, model.name, "maximizing")
    if model.images_at_once > 1:
        raise InvalidArgumentError(f"{model.name} takes several images at once; maximizing makes single ones")
    if type(model).prepare is not Model.prepare or not model.input.dtype.is_floating_point:
        raise InvalidArgumentError(
            f"{model.name} makes its input itself, without gradients, so nothing can be maximized"
        )


class _Ascent:
    """Gradient ascent on several images at once, each for a goal of its own."""

    def __init__(self, prepared: PreparedModel, settings: MaximizeSettings, device: torch.device) -> None:
        self._model = model = prepared.model
        self._settings = settings
        self._classes = list(dict.fromkeys(model.class_index(name) for name in settings.classes))
        channels = dict.fromkeys(settings.channels)
        self._channels = [_find_channel(prepared, text) for text in channels]
        self._names = [*(model.labels[index] for index in self._classes), *channels]
        self._side = model.input.sides
        self._start = None if settings.start is None else _as_canvas(settings.start, self._canvas, device)
        count = len(self._names)
        if self._start is None:
            self._images = FourierImages.random(count, self._canvas, settings.seed, device)
        else:
            self._images = FourierImages.of(self._start, count)
        self._generator = torch.Generator().manual_seed(settings.seed)
        self._last: list[float] = []
        """Probability of each class in the last view of its image."""

    @property
    def _canvas(self) -> tuple[int, int]:
        width, height = (2 * round(_CANVAS * side / 2) for side in self._side)
        return width, height

    def run(self, on_step: Callable[[int, Callable[[], list[MaximizedImage]]], None]) -> list[MaximizedImage]:
        optimizer = torch.optim.Adam([self._images.spectrum], lr=_LEARNING_RATE)
        frozen = [parameter for parameter in self._model.module.parameters() if parameter.requires_grad]
        for parameter in frozen:
            parameter.requires_grad_(False)  # their gradients would take half of the time
        try:
            for step in range(1, self._settings.steps + 1):
                with torch.enable_grad():
                    loss = self._loss()
                    optimizer.zero_grad()
                    loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                _log.debug("step %d: loss %.4g", step, float(loss.detach()))
                on_step(step, self._so_far)
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
        return self._finish()

    def _loss(self) -> torch.Tensor:
        pixels = self._images.pixels()
        views = random_views(pixels, self._side, self._generator)
        scores, planes = self._run(views)
        loss = scores.new_zeros(())
        self._last = []
        for row, index in enumerate(self._classes):
            loss = loss - _SCORE_WEIGHT * scores[row, index]
            if not self._model.answers_values:
                probability = self._model.probabilities(scores[row : row + 1])[0, index]
                loss = loss - probability.clamp(min=_LEAST_PROBABILITY).log()
                self._last.append(float(probability.detach()))
        dead = [place for place, plane in enumerate(planes) if not plane.any()]
        if dead:
            with LeakyGradients():
                _, leaking = self._run(views)
            planes = [leaking[place] if place in dead else plane for place, plane in enumerate(planes)]
        for plane in planes:
            loss = loss - plane.mean()
        if self._start is not None:
            loss = loss + len(pixels) * _DISTANCE * (pixels - self._start).square().mean()
        return loss

    def _run(self, views: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the scores of all views, and of each channel its plane in the view of its image."""
        with _keeping(self._model.module, [layer for layer, _ in self._channels]) as kept:
            scores = self._forward(views)
        planes = []
        for row, ((layer, channel), output) in enumerate(
            zip(self._channels, kept, strict=True), len(self._classes)
        ):
            assert layer.layout is not None
            planes.append(layer.layout.fold(output, (views.shape[2], views.shape[3]))[row, channel])
        return scores, planes

    def _forward(self, views: torch.Tensor) -> torch.Tensor:
        scores: torch.Tensor = self._model.forward(self._model.prepare(255 * views)).scores.float()
        if not bool(scores.isfinite().all()):
            raise ModelError(
                f"{self._model.name} answers NaN, so nothing can be maximized; check its `weights`"
            )
        return scores

    def _so_far(self) -> list[MaximizedImage]:
        """Return the images as they are now."""
        arrays = (
            (255 * self._images.pixels().detach()).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        )
        named = itertools.zip_longest(self._names, arrays, self._last)
        return [MaximizedImage(name, array, probability) for name, array, probability in named]

    def _finish(self) -> list[MaximizedImage]:
        """Return the images with what the network says of them."""
        with torch.no_grad():
            pixels = self._images.pixels()
            seen = self._probabilities(pixels)
            middle = fixed_view(pixels, self._side, *CROPS[0])
            planes = self._run(middle)[1] if self._channels else []
        images, count = self._so_far(), len(self._classes)
        classes = [
            dataclasses.replace(image, probability=probability, least_probability=least)
            for image, (probability, least) in zip(images[:count], seen, strict=False)
        ]
        channels = [
            dataclasses.replace(image, answer=float(plane.mean()), is_dead=not plane.any())
            for image, plane in zip(images[count:], planes, strict=True)
        ]
        return [*classes, *images[len(classes) : count], *channels]

    def _probabilities(self, pixels: torch.Tensor) -> list[tuple[float, float]]:
        """Return the probability of each class in its image: from the middle, and the lowest of all views."""
        if self._model.answers_values or not self._classes:
            return []
        images, rows = pixels[: len(self._classes)], range(len(self._classes))
        seen = [
            self._model.probabilities(self._forward(fixed_view(images, self._side, scale, moved)))[
                rows, self._classes
            ]
            for scale, moved in CROPS
        ]
        together = torch.stack(seen)
        return list(zip(together[0].tolist(), together.amin(dim=0).tolist(), strict=True))


def _split(channel: str) -> tuple[str, int]:
    """Split ``LAYER:12``.

    Raises:
        InvalidArgumentError: if it is not of that form.
    """
    layer, _, number = channel.rpartition(":")
    if not layer or not number.isdecimal():
        raise InvalidArgumentError(
            f"`channels` {channel!r} is no channel: give LAYER:NUMBER, as in layer4:12"
        )
    return layer, int(number)


def _find_channel(prepared: PreparedModel, text: str) -> tuple[Layer, int]:
    name, number = _split(text)
    (layer,) = choose_target_layers(prepared.probe.layers, name)
    if layer.channels is not None and number >= layer.channels:
        raise InvalidArgumentError(
            f"`channels` {text!r}: {layer.name} has the channels 0 to {layer.channels - 1}"
        )
    return layer, number


@contextlib.contextmanager
def _keeping(module: nn.Module, layers: Sequence[Layer]) -> Iterator[list[torch.Tensor]]:
    """Keep the outputs of layers in one run, within the graph; they are in the list when the run ends."""
    kept: list[torch.Tensor] = [torch.empty(0)] * len(layers)
    handles = []
    for place, layer in enumerate(layers):
        name, chosen = layer.call
        calls = itertools.count(1)

        def keep(
            _module: nn.Module,
            _inputs: object,
            output: torch.Tensor,
            place: int = place,
            chosen: int = chosen,
            calls: Iterator[int] = calls,
        ) -> None:
            if next(calls) == chosen:
                kept[place] = output

        handles.append(module.get_submodule(name).register_forward_hook(keep))
    try:
        yield kept
    finally:
        for handle in handles:
            handle.remove()


def _as_canvas(image: ImageLike, size: tuple[int, int], device: torch.device) -> torch.Tensor:
    """Cut the middle of an image to a shape, and scale it; RGB from 0 to 1, float32 (3, H, W)."""
    frame = frame_of(image).image
    pixels = torch.from_numpy(Resampler().to_shown(frame)[..., :3].copy()).permute(2, 0, 1)[None] / 255
    width, height = size
    rows, columns = pixels.shape[2], pixels.shape[3]
    scale = min(columns / width, rows / height)
    cut_width, cut_height = round(width * scale), round(height * scale)
    top, left = (rows - cut_height) // 2, (columns - cut_width) // 2
    cut = pixels[..., top : top + cut_height, left : left + cut_width]
    scaled = nn.functional.interpolate(
        cut, (height, width), mode="bilinear", antialias=True, align_corners=False
    )
    return scaled[0].clamp(0, 1).to(device)
