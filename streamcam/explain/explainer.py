"""The explainer: computes class activation maps and predictions for frames."""

from __future__ import annotations

import copy
import functools
import hashlib
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from streamcam.explain.assembly import Assembler
from streamcam.explain.base_explainer import BaseExplainer
from streamcam.explain.calibration import check_calibration, read_calibration
from streamcam.explain.clip_runs import ClipRunner
from streamcam.explain.clips import choose_timing
from streamcam.explain.compatibility import (
    aim,
    check_layers,
    check_method,
    check_settings,
    choose_method,
    note_on_choice,
    notes_on,
)
from streamcam.explain.concepts import Concepts
from streamcam.explain.costs import announce_cost
from streamcam.explain.devices import choose_device, choose_precision
from streamcam.explain.hooks import without_inference_tensors
from streamcam.explain.memory import choose_batch_size
from streamcam.explain.methods import METHODS, parse_method
from streamcam.explain.network_loading import load_network
from streamcam.explain.preparation import (
    choose_layers,
    count_parameters_behind,
    note_on_layers,
    prepare_model,
)
from streamcam.explain.questions import MapRequest, Question, ask
from streamcam.explain.references import as_comparison, with_reference
from streamcam.explain.runner import NetworkRunner
from streamcam.explain.targets import Target, TargetRequest, check_targets, resolve_targets
from streamcam.models import AUTO, DEFAULT_MODEL, Model, load_model
from streamcam.models.preprocessing import Preprocessor
from streamcam.models.weights import fingerprint
from streamcam.panes import Comparison

if TYPE_CHECKING:
    from streamcam.explain.calibration import CalibrationSource
    from streamcam.explain.panes import PaneExplainer
    from streamcam.sources.given_images import ImageLike

_logger = logging.getLogger("streamcam.explain")


class Explainer(BaseExplainer):
    """Computes class activation maps: which places of an image made a network give a class its score.

    Use it in one thread at a time.

    Attributes:
        settings: What it was made with, besides the model.
        prepared: The model, tried out.
    """

    def __init__(
        self,
        model: str | nn.Module | Model = DEFAULT_MODEL,
        *,
        method: str = AUTO,
        target_layer: str = AUTO,
        classes: TargetRequest | Sequence[TargetRequest] | None = None,
        against: int | str | None = None,
        signed: bool = False,
        top_k: int = 3,
        device: str = "auto",
        precision: str = "auto",
        calibration: CalibrationSource | None = None,
        fit: str | None = None,
        batch_size: int | Literal["auto"] = "auto",
        backend: str = "auto",
        clip_fps: float | None = None,
        clip_stride: int | None = None,
        at: Sequence[float] | None = None,
        reference: ImageLike | None = None,
    ) -> None:
        """Prepare a model for explaining.

        Args:
            model: A model from `streamcam.load_model`, or what it takes with its defaults: your network, or
                the name of one.
            method: A name in `METHODS`, with options as in ``"occlusion:patch=32,stride=16"``; ``"auto"`` for
                gradcam, for hirescam where objects are explained one by one and for segmenters, and for
                reciprocam where a network has no gradients.
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
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"`` for the network, ``"int8"`` for what
                OpenVINO runs of it; maps are float32. ``"auto"`` never chooses int8.
            calibration: Of int8: the video, or images, that the network is quantized by, like those that will
                be explained.
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
            reference: A picture to compare frames with, as for `explain`: explains the cosine similarity of
                the embeddings of both, or what a siamese network answers.

        Raises:
            StreamcamError: one of its subclasses, if one of these does not exist or cannot be used here.
        """
        self.method, self._options = parse_method(choose_method(method, classes))
        check_settings(self.method, signed=signed, fit=fit, top_k=top_k, batch_size=batch_size)
        device_choice = choose_device(device)
        self.device = device_choice.torch
        precisions = choose_precision(precision, self.device, device_choice.openvino)
        check_calibration(precision, calibration)
        if isinstance(model, str):
            asked: dict[str, Any] = {"method": self.method, "classes": classes, "fit": fit, "at": at}
            asked |= {"reference": reference, "clip_fps": clip_fps, "clip_stride": clip_stride}
            model = load_network({"name": model}, asked)
        elif not isinstance(model, Model):
            model = load_model(model)
        if at is not None:
            model = aim(model, at)
        model = as_comparison(model, has_reference=reference is not None)
        model = without_inference_tensors(model.uncompiled().in_float32())
        asked_method, method = method, choose_method(method, classes, model)
        self.method, self._options = parse_method(method)
        self.targets = resolve_targets(model, classes, against)
        check_targets(self.targets, signed)
        check_method(self.method, model, self.targets)
        timing = choose_timing(model, clip_fps, clip_stride)
        model.module.to(self.device)
        prepared = prepare_model(model, fit, self.device)
        if reference is not None:
            prepared = with_reference(prepared, reference, self.device)
        self.model = model = prepared.model
        self.top_k = min(top_k, len(model.labels))
        choice = note_on_choice(method, model) if asked_method == AUTO else None
        on_method = (choice, *notes_on(self.method, self.targets, model.labels))
        chosen = (device_choice.note, precisions.note, *on_method)
        self.notes: list[str] = [*model.notes, *(note for note in chosen if note), *prepared.notes]
        probe = prepared.probe
        self.fit = probe.fit
        layers = choose_layers(prepared, target_layer, self.method)
        if batch_size == "auto":
            behind = count_parameters_behind(prepared, layers)
            batch_size = choose_batch_size(self.device, probe.layers, behind)
        self.batch_size = batch_size
        if not probe.batches and self.batch_size > 1:
            self.batch_size = 1
            self.notes.append(f"{model.name} takes one image at a time: batches have one image")
        check_layers(self.method, layers)
        self.notes += note_on_layers(layers, target_layer)
        self.target_layer = "+".join(layer.name for layer in layers)
        assembler = Assembler(
            model.labels,
            self.targets,
            self.method,
            self.target_layer,
            signed,
            model.answers_values,
            knows_opposites=METHODS[self.method].signed,
        )
        self._questions: Sequence[Question] = [Question(None, self.targets, assembler)]
        self._preprocessor = Preprocessor(model, self.fit, self.device, probe.memory_format)
        self._clips = None if timing is None else ClipRunner(timing, self._preprocessor)
        self.runner = NetworkRunner(
            prepared,
            layers,
            self.method,
            self._options,
            self._preprocessor,
            device=device_choice,
            precisions=precisions.names,
            backend=backend,
            batch_size=self.batch_size,
            calibrate=None
            if calibration is None
            else functools.partial(read_calibration, calibration, self._preprocessor.pixels),
        )
        self.notes += self.runner.notes
        self._concepts: Concepts | None = None
        if METHODS[self.method].finds_concepts:
            self._look_for_concepts()
        self._turn = threading.RLock()
        self._preferred = {"backend": self.backend, "precision": self.precision}
        self.prepared = prepared
        self.settings: dict[str, Any] = {
            "method": method,
            "target_layer": target_layer,
            "classes": classes,
            "against": against,
            "signed": signed,
            "top_k": top_k,
            "device": device,
            "precision": precision,
            "calibration": calibration,
            "fit": fit,
            "batch_size": batch_size,
            "backend": backend,
            "clip_fps": clip_fps,
            "clip_stride": clip_stride,
            "at": at,  # the reference is in the model
        }
        _logger.info("device %s; layer %s; batches of %d", self.device, self.target_layer, self.batch_size)
        _logger.info("backend %s in %s: %s", self.backend, self.precision, self.backend_reason)
        for note in self.notes:
            _logger.info("%s", note)
        announce_cost(self)

    def __repr__(self) -> str:
        return (
            f"Explainer({self.model!r}, method={self.method!r}, target_layer={self.target_layer!r}, "
            f"backend={self.backend!r}, precision={self.precision!r}, device={str(self.device)!r})"
        )

    def beside(self) -> Explainer:
        """Return an explainer of the same network for another video at the same time, in another thread.

        They take turns with the network, and what one video decides does not change the other.
        """
        other = copy.copy(self)
        other.notes = list(self.notes)
        other.runner = self.runner.beside()
        if self._concepts is not None:
            other._look_for_concepts()
        if self._clips is not None:
            other._clips = ClipRunner(self._clips.timing, self._preprocessor)
        return other

    def identity(self) -> dict[str, object]:
        """Return all that explanations depend on besides the images, as plain values."""
        return {
            "model": self.model.name,
            "weights": fingerprint(self.model.module),
            "labels": hashlib.sha256(repr(self.model.labels).encode()).hexdigest()[:16],
            "input": repr(self.model.input),
            **self.model.identity(),
            "method": self.method,
            "method's options": repr(self._options),
            "target layer": self.target_layer,
            "classes": repr(self.targets),
            "signed": self.settings["signed"],
            "top-k": self.top_k,
            "fit": self.fit,
            "batch": self.batch_size,
            "clips": None if self._clips is None else repr(self._clips.timing),
            "calibration": self.runner.calibrated_by,
            "device": str(self.device),
            **self._preferred,  # what is used in the end follows from the images
            "torch": torch.__version__,
        }

    def variant(self, **changes: Any) -> Explainer:
        """Return an explainer of the same model with other settings. Use both in one thread.

        Args:
            changes: Parameters of an `Explainer`, other than the model.

        Raises:
            StreamcamError: one of its children, if they do not go with the model.
        """
        return Explainer(self.model, **{**self.settings, **changes})

    def with_prompts(self, prompts: Sequence[str]) -> Explainer:
        """Return an explainer of other texts, of which it explains the most similar one.

        Only the texts run through the network; everything else is shared. Use both in the same thread.

        Args:
            prompts: At least one text to compare images with.

        Raises:
            InvalidArgumentError: if the model takes none, or one is empty or there twice.
        """
        other = copy.copy(self)
        other.model = self.model.with_prompts(prompts)
        other.top_k = min(self.settings["top_k"], len(prompts))
        other.settings = {**self.settings, "classes": None, "against": None}
        other.runner = self.runner.reading_with(other.model)
        network = other.runner.map_maker.network
        other._questions = [question.put_to(network) for question in self._questions]
        if self._concepts is not None:
            other._look_for_concepts()
        return other.with_targets([Target(rank=0)])

    def with_targets(self, targets: Sequence[Target]) -> Explainer:
        """Return an explainer of other targets that shares the network; use both in the same thread.

        Args:
            targets: At least one.
        """
        other = copy.copy(self)
        other.targets = tuple(targets)
        other._questions = [question.about(other.targets) for question in self._questions]
        return other

    def with_maps(self, maps: Sequence[MapRequest]) -> Explainer:
        """Return an explainer of several maps of each frame, made of one run of the network, which is shared.

        Its explanations are those of the first map, with the others in `Explanation.others`.

        Args:
            maps: At least one; of layers that are among the target layers.

        Raises:
            InvalidArgumentError: if a method does not go with the model or the targets.
        """
        other = copy.copy(self)
        first = self._questions[0].assembler
        other._questions = [ask(each, self.model, self.runner.map_maker, first) for each in maps]
        other.targets = tuple(dict.fromkeys(target for each in maps for target in each.targets))
        return other

    def _look_for_concepts(self) -> None:
        """Explain concepts, of a video of which nothing is known yet, instead of classes."""
        count = int({**METHODS[self.method].options, **self._options}["concepts"])
        self._concepts = Concepts(count, self.model.labels)
        (question,) = self._questions
        self._questions = [question.about_concepts(self._concepts, self.runner.map_maker)]

    def in_panes(self, comparison: Comparison | None = None, *others: Explainer) -> PaneExplainer:
        """Return an explainer of everything that is compared, with the settings of this one otherwise.

        Args:
            comparison: What is compared; methods if None.
            others: Explainers of other networks, if these are compared.

        Raises:
            StreamcamError: one of its children, if a method, layer or class does not exist, or does not go
                with the network.
        """
        from streamcam.explain.panes import PaneExplainer

        return PaneExplainer([self, *others], comparison)
