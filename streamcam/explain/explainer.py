"""The explainer: computes class activation maps and predictions for frames."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import hashlib
import itertools
import logging
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, ModelError, unknown_name
from streamcam.explain.backends import (
    BackendMismatchError,
    BackendRequest,
    captured_graphs_for,
    choose_backend,
)
from streamcam.explain.backends.cache import cache_directory
from streamcam.explain.batch import Assembler, BatchResult, BatchRun, MapMaker, in_frame
from streamcam.explain.clips import ClipBuffer, ClipRun, choose_timing
from streamcam.explain.devices import PRECISIONS, choose_device, choose_precision
from streamcam.explain.hooks import (
    evaluating,
    twice_differentiable_attention,
    without_inference_tensors,
)
from streamcam.explain.memory import choose_batch_size, run_what_fits
from streamcam.explain.method_inputs import VARIANTS_AT_ONCE
from streamcam.explain.methods import HEAD_ONLY, METHODS, parse_method
from streamcam.explain.precision_check import hooked_network
from streamcam.explain.targets import ObjectsFound, Target, TargetRequest, resolve_targets
from streamcam.explain.threads import available_cores, torch_threads
from streamcam.explanations import EMPTY_MAPS, Explanation, Instance
from streamcam.frames import Frame, Region, check_inside
from streamcam.models import (
    AUTO,
    DEFAULT_MODEL,
    FITS,
    Layer,
    Model,
    Probe,
    Segmenter,
    choose_target_layers,
    default_layer,
    load_model,
    probe_arranged,
    refuse_layers,
)
from streamcam.models.check_images import check_images
from streamcam.models.preprocessing import Preprocessor
from streamcam.models.probing import trial_size
from streamcam.models.weights import fingerprint
from streamcam.sources.given_images import frame_of, frames_of

if TYPE_CHECKING:
    from streamcam.sources.given_images import ImageLike
    from streamcam.temporal import Tracker

_logger = logging.getLogger("streamcam.explain")

_KEEP_TO_OBJECTS = ("hirescam", "layercam", "gradcam-elementwise")
"""Methods that multiply activations and gradients place by place: heat stays where an object was found."""


class Explainer:
    """Computes class activation maps: which places of an image made a network give a class its score.

    Use it in one thread at a time.

    Attributes:
        model: The model that is explained, on its device.
        target_layer: Dotted name of the layer whose output the maps are made of; several are joined by ``+``.
        fit: How frames are fitted into the network's input.
        method: Name of the method.
        backend: What runs the backbone: ``"openvino"`` or ``"torch"``.
        notes: What the user should know about the choices made, one sentence each.
    """

    def __init__(
        self,
        model: str | Model = DEFAULT_MODEL,
        *,
        method: str = "gradcam",
        target_layer: str = AUTO,
        classes: TargetRequest | Sequence[TargetRequest] | None = None,
        against: int | str | None = None,
        signed: bool = False,
        top_k: int = 3,
        device: str = "auto",
        precision: str = "auto",
        fit: str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        backend: str = "auto",
        clip_fps: float | None = None,
        clip_stride: int | None = None,
        at: Sequence[float] | None = None,
    ) -> None:
        """Prepare a model for explaining.

        Args:
            model: A model from `streamcam.load_model`, or the name of one that is loaded with its defaults.
            method: A name in `METHODS`, with options as in ``"occlusion:patch=32,stride=16"``.
            target_layer: Dotted name of a layer, several joined by ``+``, or ``"auto"`` for the last one
                with a spatial grid.
            classes: What to explain: indices, names, ``"top3"`` for each image's three most probable
                classes, functions from the `Output` of M images to (M,); of detectors also ``"instances"``
                for each object by itself, and ``"instance2"`` for the one numbered 2; None for the most
                probable class.
            against: A class whose score is subtracted: explains the difference.
            signed: Whether maps keep evidence against the class, as negative values.
            top_k: Number of predictions to report; with 0 none are listed.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"`` for the network; maps are float32.
            fit: A name in `streamcam.models.FITS`; None for ``full`` where the network takes any shape and
                ``stretch`` elsewhere.
            batch_size: Number of images that go through the network at once; ``"auto"`` chooses by device
                and memory.
            backend: ``"openvino"`` runs the network up to the target layer on OpenVINO, ``"torch"`` all of it
                in torch; ``"auto"`` prefers OpenVINO on CPUs.
            clip_fps: Of networks that take clips: how many frames of a second are in a clip; as many as the
                network was evaluated with if None.
            clip_stride: Of networks that take clips: how many of a clip's frames lie between the beginnings
                of two clips, 1 or more; a quarter of its length if None.
            at: Of segmenters: explains what the network says at a point (x, y) or in a box (left, top, right,
                bottom) of the frame, in pixels, instead of everywhere.

        Raises:
            StreamcamError: one of its subclasses, if one of these does not exist or cannot be used here.
        """
        self.method, self._options = parse_method(method)
        self._method = METHODS[self.method]
        if signed and not self._method.signed:
            able = ", ".join(name for name, row in METHODS.items() if row.signed)
            raise InvalidArgumentError(
                f"method {self.method!r} has no negative evidence; `signed=True` works with {able}"
            )
        if fit is not None and fit not in FITS:
            raise unknown_name("fit", fit, FITS)
        if top_k < 0:
            raise InvalidArgumentError(f"`top_k` is 0 or more, not {top_k}")
        if batch_size != "auto" and batch_size < 1:
            raise InvalidArgumentError(f"`batch_size` is at least 1, not {batch_size}")
        device_choice = choose_device(device)
        self.device, backend_device = device_choice.torch, device_choice.openvino
        precisions = choose_precision(precision, self.device, backend_device)
        if isinstance(model, str):
            model = load_model(model, any_shape=fit == "full")
        if at is not None:
            model = _aim(model, at)
        self.model = model = without_inference_tensors(model.uncompiled().in_float32())
        self.targets = resolve_targets(model, classes, against)
        if signed and len(self.targets) > 1:
            raise InvalidArgumentError(
                f"`signed=True` shows one class in two colors, not {len(self.targets)}; ask for one class"
            )
        self._check_method()
        timing = choose_timing(model, clip_fps, clip_stride)
        self._clips = None if timing is None else ClipBuffer(timing)
        self._clip_run: ClipRun | None = None
        self._module = model.module.to(self.device)
        self.top_k = min(top_k, len(model.labels))
        chosen = [note for note in (device_choice.note, precisions.note) if note]
        self.notes: list[str] = [*model.notes, *chosen]
        if any(target.objects for target in self.targets) and self.method not in _KEEP_TO_OBJECTS:
            self.notes.append(
                f"{self.method} weighs whole channels, so that heat of one object lies on others too; "
                "`method='hirescam'` keeps to each object"
            )
        probe = self._probe(fit)
        model = self.model  # it may have been adapted
        self.fit = probe.fit
        self.batch_size = choose_batch_size(self.device, probe.layers) if batch_size == "auto" else batch_size
        if not probe.batches and self.batch_size > 1:
            self.batch_size = 1
            self.notes.append(f"{model.name} takes one image at a time: batches have one image")
        requested = default_layer(model, probe.layers) if target_layer == AUTO else target_layer
        layers = self._choose_layers(probe, requested)
        self.target_layer = "+".join(layer.name for layer in layers)
        self._assembler = Assembler(
            model.labels, self.targets, self.method, self.target_layer, signed, model.answers_values
        )
        self._preprocessor = Preprocessor(model, self.fit, self.device, probe.memory_format)
        size = trial_size(model, self.fit)
        # Where torch runs on a processor, nothing below float32 has been seen to be quicker.
        in_torch = precisions.names[-1:] if self.device.type == "cpu" else precisions.names
        with torch.inference_mode(False), evaluating(self._module):
            network = hooked_network(
                model,
                layers,
                [PRECISIONS[name] for name in in_torch],
                lambda: self._preprocessor.prepare(self._stills(check_images(*size)[: self.batch_size])),
            )
            self._split, self._backend_reason = choose_backend(
                "openvino" if backend_device else backend,
                BackendRequest(
                    model,
                    layers,
                    self._method,
                    device=self.device,
                    backend_device=backend_device or "CPU",
                    precisions=precisions.names,
                    size=size,
                    batch_size=self.batch_size,
                    cache=cache_directory(),
                ),
            )
        self.backend = "torch" if self._split is None else "openvino"
        self._map_maker = MapMaker(
            network,
            self._method,
            self._options,
            self._preprocessor.prepare,
            VARIANTS_AT_ONCE if probe.batches else 1,
        )
        self._graphs = captured_graphs_for(self.device, self._map_maker)
        self._preferred = {"backend": self.backend, "precision": self.precision}
        self._settings: dict[str, Any] = {
            "classes": classes,
            "against": against,
            "signed": signed,
            "top_k": top_k,
            "device": device,
            "precision": precision,
            "fit": fit,
            "backend": backend,
            "clip_fps": clip_fps,
            "clip_stride": clip_stride,
            "at": at,
        }
        _logger.info("device %s; layer %s; batches of %d", self.device, self.target_layer, self.batch_size)
        _logger.info("backend %s in %s: %s", self.backend, self.precision, self.backend_reason)
        for note in self.notes:
            _logger.info("%s", note)

    def __repr__(self) -> str:
        return (
            f"Explainer({self.model!r}, method={self.method!r}, target_layer={self.target_layer!r}, "
            f"backend={self.backend!r}, precision={self.precision!r}, device={str(self.device)!r})"
        )

    @property
    def backend_reason(self) -> str:
        """Why this backend was chosen, and how it is used."""
        graphs = "" if self._graphs is None else f"; {self._graphs.reason}"
        return self._backend_reason + graphs

    @property
    def precision(self) -> str:
        """Precision of the network for the last images: a name in `PRECISIONS`."""
        if self._split is not None:
            return self._split.precision
        return next(name for name, dtype in PRECISIONS.items() if dtype == self._map_maker.network.dtype)

    @property
    def clip_s(self) -> float:
        """How far from a frame the others of its clip may be, in seconds; 0 for networks of single images."""
        return 0.0 if self._clips is None else self._clips.timing.span_s

    def preprocess(self, image: ImageLike) -> torch.Tensor:
        """Return the network's input for an image.

        Args:
            image: An image, as for `explain`.

        Returns:
            float32 (1, C, H', W'), normalized, on the explainer's device; for networks that take clips
            (1, C, T, H', W'), the image repeated.

        Raises:
            InvalidArgumentError: if it is not an image.
        """
        return self._preprocessor.prepare(self._stills(self._preprocessor.pixels([frame_of(image)])))

    def explain(self, images: ImageLike | Sequence[ImageLike]) -> list[Explanation]:
        """Explain an image, or several.

        Args:
            images: One image or a sequence of them, of any shapes: RGB arrays, uint8 (H, W, 3); PIL images;
                tensors (3, H, W), uint8 or float from 0 to 1; or paths. A network that takes clips sees
                them as one video, at the frame rate of its clips.

        Returns:
            One explanation for each image, in order. The first whose maps show nothing adds the reason to
            `notes`, and it is logged as a warning; see `Explanation.flags`.

        Raises:
            InvalidArgumentError: if something is not an image.
            SourceError: if a file cannot be read.
            ModelError: if the method cannot explain this network.
        """
        frames = frames_of(images)
        if self._clips is not None:
            interval_s = 1 / Fraction(self._clips.timing.fps)
            frames = [dataclasses.replace(frame, time_base=interval_s) for frame in frames]
        explanations = self.explain_frames(frames)
        for explanation in explanations:
            if explanation.emptiness is None:
                continue
            note = f"the map shows nothing: {EMPTY_MAPS[explanation.emptiness]}"
            if note not in self.notes:
                self.notes.append(note)
                _logger.warning("%s", note)
        return explanations

    def explain_frames(
        self, frames: Sequence[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> list[Explanation]:
        """Explain frames of a source.

        Args:
            frames: Frames in order.
            tracker: Ranks the classes over time and knows the cuts; if None, each frame is ranked by itself.
            context: Of networks that take clips: all frames from the first of these on, whether explained or
                not, and what is known of those behind them, in order; these alone if empty. Frames of earlier
                calls are known, unless these begin another video.

        Returns:
            One explanation for each frame, in order.

        Raises:
            ModelError: if the method cannot explain this network.
        """
        if self._clips is None:
            groups = _grouped(frames, lambda frame: (frame.image.width, frame.image.height))
        else:
            self._see(self._clips, frames, tracker, context)
            groups = _grouped(frames, self._clips.clip_of)
        explanations: list[Explanation] = []
        explain = functools.partial(self._explain_batch, tracker=tracker)
        for waiting in groups:
            while waiting:
                batch = waiting[: self.batch_size]
                explained = run_what_fits(explain, batch, self.device, self._take_smaller_batches)
                explanations += explained
                del waiting[: len(explained)]
        return explanations

    def skip_frames(
        self, frames: Sequence[Frame], tracker: Tracker | None = None, context: Sequence[Frame] = ()
    ) -> None:
        """Take note of frames whose explanations are known already, for clips that hold them.

        Args:
            frames: Frames in order, as for `explain_frames`.
            tracker: As for `explain_frames`.
            context: As for `explain_frames`.
        """
        if self._clips is not None:
            self._see(self._clips, frames, tracker, context)

    def identity(self) -> dict[str, object]:
        """Return all that explanations depend on besides the images, as plain values."""
        return {
            "model": self.model.name,
            "weights": fingerprint(self._module),
            "labels": hashlib.sha256(repr(self.model.labels).encode()).hexdigest()[:16],
            "input": repr(self.model.input),
            **self.model.identity(),
            "method": self.method,
            "method's options": repr(self._options),
            "target layer": self.target_layer,
            "classes": repr(self.targets),
            "signed": self._assembler.signed,
            "top-k": self.top_k,
            "fit": self.fit,
            "batch": self.batch_size,
            "clips": None if self._clips is None else repr(self._clips.timing),
            "device": str(self.device),
            **self._preferred,  # what is used in the end follows from the images
            "torch": torch.__version__,
        }

    def _take_smaller_batches(self, size: int) -> None:
        self.batch_size = size
        if self._graphs is not None:
            self._graphs.clear()
        note = f"{self.device} is short of memory: fewer images go through the network at once"
        if note not in self.notes:
            self.notes.append(note)

    def variant(self, *, method: str, target_layer: str) -> Explainer:
        """Return an explainer of the same model and settings with another method or target layer.

        It explains one frame at a time. Use both in one thread.

        Args:
            method: A name in `METHODS`, with options.
            target_layer: Dotted name of a layer, or ``"auto"``.

        Raises:
            StreamcamError: one of its children, if they do not go with the model.
        """
        return Explainer(self.model, method=method, target_layer=target_layer, batch_size=1, **self._settings)

    def with_targets(self, targets: Sequence[Target]) -> Explainer:
        """Return an explainer of other targets that shares the network; use both in the same thread.

        Args:
            targets: At least one.
        """
        other = copy.copy(self)
        other.targets = tuple(targets)
        other._assembler = dataclasses.replace(self._assembler, targets=other.targets)
        return other

    def _probe(self, fit: str | None) -> Probe:
        """Find out whether the network takes frames at their own shape, and what its layers put out."""
        # The memory order that half-precision 2D convolutions prefer on NVIDIA devices.
        prefers_channels_last = self.device.type == "cuda" and self.model.clip_length == 1
        preferred = torch.channels_last if prefers_channels_last else torch.contiguous_format
        answers: list[Any] = []

        def keep(_module: object, _inputs: object, answer: object) -> None:
            answers[:] = [answer]

        with contextlib.ExitStack() as watched:
            with contextlib.suppress(RuntimeError):  # of a program
                watched.callback(self._module.register_forward_hook(keep).remove)
            with evaluating(self._module):
                probe = probe_arranged(self.model, fit, self.device, preferred)
            if not answers:  # of a program, which takes no hook
                size = trial_size(self.model, probe.fit)
                pixels = self._stills(check_images(*size, count=1))
                with torch.no_grad():
                    prepared = Preprocessor(self.model, probe.fit, self.device, probe.memory_format)
                    answers.append(self._module(prepared.prepare(pixels)))
        for answer in answers:
            self.model, note = self.model.adapt(answer)
            if note is not None:
                self.notes.append(note)
            scores, labels = self.model.read(answer).scores.shape[1], len(self.model.labels)
            if scores != labels:
                raise ModelError(
                    f"{self.model.name} has {labels} labels for its {scores} classes; "
                    "give one label for each class"
                )
        if probe.note is not None:
            self.notes.append(probe.note)
        return probe

    def _choose_layers(self, probe: Probe, requested: str) -> list[Layer]:
        """Choose the target layers; none where there are none and the method needs none."""
        try:
            return choose_target_layers(probe.layers, requested, stages=self._method.stages)
        except ModelError as error:
            if requested != AUTO:
                raise
            if not self._method.needs_layer:
                return []
            able = [name for name, row in METHODS.items() if not row.needs_layer]
            raise refuse_layers(self.model.name, self._module, error, able) from error

    def _explain_batch(self, frames: Sequence[Frame], tracker: Tracker | None) -> list[Explanation]:
        # The caller may be in inference mode; gradients are taken here.
        threads = torch_threads(available_cores() if self._split is None else self._split.head_threads)
        region = self._preprocessor.geometry(frames[0]).region
        if isinstance(self.model, Segmenter) and self.model.spot is not None:
            width, height = frames[0].image.width, frames[0].image.height
            check_inside(self.model.spot.edges, width, height)
            self.model.spot.place(width, height, region)
        attention = (
            twice_differentiable_attention() if self._method.is_second_order else contextlib.nullcontext()
        )
        with torch.inference_mode(False), evaluating(self._module), threads, attention:
            if self._clips is None:
                run = self._run(self._preprocessor.pixels(frames))
            else:
                run = self._run_clip(self._clips, frames)
            # From here on the CPU does all but gradients and maps: looking up a few probabilities on a GPU
            # would wait for it again and again.
            known = run.probabilities
            probabilities = (self.model.probabilities(run.scores) if known is None else known).cpu()
            ranking = probabilities.argsort(dim=1, descending=True, stable=True)
            ranked = ranking if tracker is None else self._tracked(frames, probabilities, tracker)
            region = self._preprocessor.geometry(frames[0]).region
            found = self._find_objects(frames, run.instances, region, tracker)
            aims = [
                (target, objective)
                for target in self.targets
                for objective in target.objectives(ranked, found)
            ]
            objectives = [objective for _, objective in aims]
            result = BatchResult(
                maps=run.maps(objectives),
                targets=[target for target, _ in aims],
                objectives=objectives,
                best=ranking[:, : self.top_k].tolist(),
                probabilities=probabilities.numpy(),
                found=found,
            )
        return self._assembler.assemble(frames, result, region)

    def _tracked(
        self, frames: Sequence[Frame], probabilities: torch.Tensor, tracker: Tracker
    ) -> torch.Tensor:
        """Rank the classes over time, int64 (N, the number shown or explained)."""
        count = max(self.top_k, *(1 + (target.rank or 0) for target in self.targets))
        ranking = tracker.rank(
            frames,
            probabilities.numpy(),
            self.model.labels,
            count,
            listed=self.top_k,
            are_values=self.model.answers_values,
        )
        return torch.from_numpy(ranking)

    def _find_objects(
        self,
        frames: Sequence[Frame],
        instances: Sequence[Sequence[Instance]] | None,
        region: Region,
        tracker: Tracker | None,
    ) -> ObjectsFound | None:
        """Choose the objects to report, and give each its number over time."""
        if instances is None:
            return None
        boxed = [in_frame(image, region) for image in instances]
        certain = self.model.certain_score
        if not self.model.finds_objects:
            return [list(enumerate(image)) for image in boxed]
        if tracker is not None:
            return tracker.follow(frames, boxed, certain)
        return [[pair for pair in enumerate(image) if pair[1].score >= certain] for image in boxed]

    def _check_method(self) -> None:
        """Refuse methods that cannot explain what the network takes or what is asked for."""
        needs = set(self._method.needs)
        if any(target.objects for target in self.targets) and not {"gradients"} <= needs <= HEAD_ONLY:
            names = [name for name, row in METHODS.items() if {"gradients"} <= set(row.needs) <= HEAD_ONLY]
            raise InvalidArgumentError(
                f"method {self.method!r} cannot explain objects one by one; use one of {', '.join(names)}"
            )
        if self.model.finds_objects and self.method == "cam":
            raise InvalidArgumentError(
                f"method 'cam' is for classifiers that end in one linear layer, and {self.model.name} is a "
                "detector; use gradcam or hirescam"
            )
        if self.model.finds_objects and self._method.criterion is not None:
            raise InvalidArgumentError(
                f"method {self.method!r} compares classes of a whole image, and {self.model.name} is a "
                "detector; use gradcam, or name the other class with `against`"
            )
        clip_length = self.model.clip_length
        if clip_length > 1 and not set(self._method.needs) <= HEAD_ONLY:
            able = ", ".join(name for name, row in METHODS.items() if set(row.needs) <= HEAD_ONLY)
            raise InvalidArgumentError(
                f"method {self.method!r} explains single images, and {self.model.name} takes clips of "
                f"{clip_length} frames; use one of {able}"
            )

    def _see(
        self, clips: ClipBuffer, frames: Sequence[Frame], tracker: Tracker | None, context: Sequence[Frame]
    ) -> None:
        """Add frames, and those around them, to what clips are cut from."""
        clips.begin(frames[0])
        for frame in filter(clips.is_new, context or frames):
            (pixels,) = self._preprocessor.pixels([frame])
            clips.add(frame, pixels, starts_shot=tracker is not None and tracker.is_cut(frame))

    def _run_clip(self, clips: ClipBuffer, frames: Sequence[Frame]) -> BatchRun:
        """Run the network on the clip of frames that share it, unless that was the last one."""
        clip = clips.clip_of(frames[0])
        if self._clip_run is None or self._clip_run.clip != clip:
            self._clip_run = None  # its memory is needed
            self._clip_run = ClipRun(clip, clips.timing.length, self._run(clips.pixels(clip)[None]))
        return self._clip_run.explaining([clips.position(frame) for frame in frames])

    def _stills(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Repeat each image to a clip in which nothing moves, where the network takes clips."""
        length = self.model.clip_length
        return pixels if length == 1 else np.repeat(pixels[:, None], length, axis=1)

    def _run(self, pixels: NDArray[np.uint8]) -> BatchRun:
        """Run the network on images (N, H, W, 3) or clips (N, T, H, W, 3)."""
        if self._split is not None:
            try:
                return self._map_maker.run(pixels, self._split.run(pixels))
            except BackendMismatchError:
                self._split, self.backend = None, "torch"
                self._backend_reason = (
                    "OpenVINO computes this network differently from torch, so torch runs it"
                )
                self.notes.append(self._backend_reason)
                _logger.info("%s", self._backend_reason)
        if self._graphs is None or self._clips is not None:
            return self._map_maker.run(pixels)
        return self._graphs.run(pixels, self.targets) or self._map_maker.run(pixels)


def _grouped(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    """Group consecutive frames of one key."""
    return [list(alike) for _, alike in itertools.groupby(frames, key=key)]


def _aim(model: Model, at: Sequence[float]) -> Model:
    """Return a segmenter that scores classes at a place of the frame."""
    if not isinstance(model, Segmenter):
        raise InvalidArgumentError(
            f"`at` is for segmenters, and {model.name} gives one answer for the whole image; leave it out"
        )
    return model.aimed(at)
