"""The explainer: frames in, class activation maps and predictions out."""

from __future__ import annotations

import copy
import dataclasses
import functools
import hashlib
import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, unknown_name
from streamcam.explain.assembly import Assembler, BatchResult
from streamcam.explain.backends import BackendMismatchError, BackendRequest, choose_backend, recordings_for
from streamcam.explain.backends.cache import cache_directory
from streamcam.explain.batch import Mapper, Run
from streamcam.explain.devices import PRECISIONS, choose_device, choose_precision
from streamcam.explain.hooks import evaluating, without_inference_tensors
from streamcam.explain.memory import choose_batch_size, run_what_fits
from streamcam.explain.methods import METHODS, parse_method
from streamcam.explain.precision_check import check_images, hooked_network
from streamcam.explain.targets import Target, TargetRequest, resolve_targets
from streamcam.explain.threads import available_cores, torch_threads
from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.models import (
    AUTO,
    DEFAULT_MODEL,
    FITS,
    Classifier,
    Probe,
    choose_target_layers,
    load_model,
    probe_arranged,
)
from streamcam.models.preprocessing import Preprocessor, frame_of_array
from streamcam.models.probing import trial_size
from streamcam.models.weights import fingerprint

if TYPE_CHECKING:
    from streamcam.temporal import Tracker


class Explainer:
    """Computes, for images of any shape, which places made a network give a class its score.

    Belongs to one thread at a time.

    Attributes:
        model: The model that is explained, on its device.
        target_layer: Resolved dotted name of the layer whose output the maps are made of; several are joined
            by ``+``.
        fit: How frames are fitted into the network's input.
        method: The name of the method.
        backend: What runs the backbone: ``"openvino"``, or ``"torch"``, which also takes over from it.
        notes: What the user should know about the choices made, a sentence each.
    """

    def __init__(
        self,
        model: str | Classifier = DEFAULT_MODEL,
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
    ) -> None:
        """Prepare a model for explaining.

        Args:
            model: A model from `streamcam.load_model`, or the name of one that is loaded with its defaults.
            method: A name in `METHODS`, with options as in ``"occlusion:patch=32,stride=16"``.
            target_layer: Dotted name of a layer, several joined by ``+``, or ``"auto"`` for the last one
                with a spatial grid.
            classes: What to explain: indices, names, ``"top3"`` for each image's three most probable
                classes, functions from logits (M, classes) to (M,); None for the most probable class.
            against: A class that the others are held against: the gradient of the difference.
            signed: Whether maps keep what lowers the score, as negative values.
            top_k: How many predictions to report.
            device: ``"auto"``, ``"cpu"``, ``"cuda"`` …
            precision: ``"auto"``, ``"fp32"``, ``"bf16"`` or ``"fp16"``, for the network; maps are float32.
            fit: A name in `streamcam.models.FITS`; None for ``full`` where the network takes any shape and
                ``stretch`` elsewhere.
            batch_size: How many images go through the network at once; ``"auto"`` chooses by device and
                memory.
            backend: ``"openvino"`` runs what lies before the target layer on OpenVINO, ``"torch"`` everything
                in torch; ``"auto"`` takes the first wherever it can.

        Raises:
            StreamcamError: one of its children, if any of these cannot be had.
        """
        self.method, self._options = parse_method(method)
        self._method = METHODS[self.method]
        if signed and not self._method.signed:
            able = ", ".join(name for name, row in METHODS.items() if row.signed)
            raise InvalidArgumentError(
                f"method {self.method!r} knows no negative evidence; signed takes {able}"
            )
        if fit is not None and fit not in FITS:
            raise unknown_name("fit", fit, FITS)
        smallest = top_k if batch_size == "auto" else min(top_k, batch_size)
        if smallest < 1:
            raise InvalidArgumentError(f"top_k and batch_size start at 1, not {smallest}")
        place = choose_device(device)
        self.device, backend_device = place.torch, place.openvino
        chosen = choose_precision(precision, self.device, backend_device)
        if isinstance(model, str):
            model = load_model(model, any_shape=fit == "full")
        self.model = model = without_inference_tensors(model)
        self.targets = resolve_targets(model, classes, against)
        if signed and len(self.targets) > 1:
            raise InvalidArgumentError(
                f"signed shows one class in two colours, and {len(self.targets)} are asked for; ask for one"
            )
        self._module = model.module.to(self.device)
        self.top_k = min(top_k, len(model.labels))
        self.notes: list[str] = [note for note in (place.note, chosen.note) if note is not None]
        found = self._probe(fit)
        self.fit = found.fit
        self.batch_size = choose_batch_size(self.device, found.layers) if batch_size == "auto" else batch_size
        layers = choose_target_layers(found.layers, target_layer, stages=self._method.stages)
        self.target_layer = "+".join(layer.name for layer in layers)
        self._assembler = Assembler(model.labels, self.targets, self.method, self.target_layer, signed)
        self._preprocessor = Preprocessor(model.input, self.fit, self.device, found.memory_format)
        size = trial_size(model, self.fit)
        # Where torch runs on a processor, nothing below float32 has been seen to be quicker.
        tried = chosen.names[-1:] if self.device.type == "cpu" else chosen.names
        with torch.inference_mode(False), evaluating(self._module):
            network = hooked_network(
                model,
                layers,
                [PRECISIONS[name] for name in tried],
                lambda: self._preprocessor.normalise(check_images(*size)[: self.batch_size]),
            )
            self._split, self._backend_reason = choose_backend(
                "openvino" if backend_device else backend,
                BackendRequest(
                    model,
                    layers,
                    self._method,
                    device=self.device,
                    backend_device=backend_device or "CPU",
                    precisions=chosen.names,
                    size=size,
                    batch_size=self.batch_size,
                    cache=cache_directory(),
                ),
            )
        self.backend = "torch" if self._split is None else "openvino"
        self._mapper = Mapper(network, self._method, self._options, self._preprocessor.normalise)
        self._recordings = recordings_for(self.device, self._mapper)
        self._meant = {"backend": self.backend, "precision": self.precision}

    @property
    def backend_reason(self) -> str:
        """Why that backend, and how it is used."""
        recording = "" if self._recordings is None else f"; {self._recordings.reason}"
        return self._backend_reason + recording

    @property
    def precision(self) -> str:
        """What the network computes in, or did for the last images: a name in `PRECISIONS`."""
        if self._split is not None:
            return self._split.precision
        return next(name for name, dtype in PRECISIONS.items() if dtype == self._mapper.network.dtype)

    def preprocess(self, image: NDArray[np.uint8]) -> torch.Tensor:
        """Return what the network sees of an image.

        Args:
            image: RGB, uint8 (H, W, 3).

        Returns:
            float32 (1, C, H', W'), normalised, on the explainer's device.

        Raises:
            InvalidArgumentError: if the image is not such an array.
        """
        return self._preprocessor.normalise(self._preprocessor.pixels([frame_of_array(image, 0)]))

    def explain(self, images: Sequence[NDArray[np.uint8]]) -> list[Explanation]:
        """Explain images.

        Args:
            images: RGB, uint8 (H, W, 3) each; shapes may differ.

        Returns:
            One explanation for each image, in order.

        Raises:
            InvalidArgumentError: if an image is not such an array.
            ModelError: if the method cannot explain this network.
        """
        return self.explain_frames([frame_of_array(image, index) for index, image in enumerate(images)])

    def explain_frames(self, frames: Sequence[Frame], tracker: Tracker | None = None) -> list[Explanation]:
        """Explain frames of a source.

        Args:
            frames: What to explain.
            tracker: Decides, frame after frame, which classes are taken for the most probable ones; each
                frame's own ranking if None.

        Returns:
            One explanation for each frame, in order.

        Raises:
            ModelError: if the method cannot explain this network.
        """
        explanations: list[Explanation] = []
        explain = functools.partial(self._explain_batch, tracker=tracker)
        for _, alike in itertools.groupby(frames, key=lambda frame: (frame.image.width, frame.image.height)):
            waiting = list(alike)
            while waiting:
                batch = waiting[: self.batch_size]
                explained = run_what_fits(explain, batch, self.device, self._take_smaller_batches)
                explanations += explained
                del waiting[: len(explained)]
        return explanations

    def identity(self) -> dict[str, object]:
        """Tell all that explanations depend on besides the images, in plain values."""
        return {
            "model": self.model.name,
            "weights": fingerprint(self._module),
            "labels": hashlib.sha256(repr(self.model.labels).encode()).hexdigest()[:16],
            "input": repr(self.model.input),
            "activation": self.model.activation,
            "method": self.method,
            "method's options": repr(self._options),
            "target layer": self.target_layer,
            "classes": repr(self.targets),
            "signed": self._assembler.signed,
            "top-k": self.top_k,
            "fit": self.fit,
            "batch": self.batch_size,
            "device": str(self.device),
            **self._meant,  # what they become follows from the images
            "torch": torch.__version__,
        }

    def _take_smaller_batches(self, size: int) -> None:
        self.batch_size = size
        if self._recordings is not None:
            self._recordings.clear()
        note = f"the memory of {self.device} is short: fewer images go through the network at once"
        if note not in self.notes:
            self.notes.append(note)

    def aimed_at(self, targets: Sequence[Target]) -> Explainer:
        """Return an explainer of other targets that shares this one's network; use both in one thread.

        Args:
            targets: At least one.
        """
        other = copy.copy(self)
        other.targets = tuple(targets)
        other._assembler = dataclasses.replace(self._assembler, targets=other.targets)
        return other

    def _probe(self, fit: str | None) -> Probe:
        """Find out whether the network takes frames at their own shape, and what its layers put out."""
        # The order in which half-precision convolutions want their data on NVIDIA devices.
        wanted = torch.channels_last if self.device.type == "cuda" else torch.contiguous_format
        with evaluating(self._module):
            probe = probe_arranged(self.model, fit, self.device, wanted)
        if probe.note is not None:
            self.notes.append(probe.note)
        return probe

    def _explain_batch(self, frames: Sequence[Frame], tracker: Tracker | None) -> list[Explanation]:
        # Inference mode is the caller's affair: here gradients are taken.
        threads = torch_threads(available_cores() if self._split is None else self._split.head_threads)
        with torch.inference_mode(False), evaluating(self._module), threads:
            run = self._run(self._preprocessor.pixels(frames))
            # From here on all but gradients and maps is done by the processor: what is looked up in a few
            # probabilities, a device would be waited for again and again.
            probabilities = self.model.probabilities(run.logits).cpu()
            ranking = probabilities.argsort(dim=1, descending=True, stable=True)
            followed = ranking if tracker is None else self._followed(frames, probabilities, tracker)
            objectives = [target.objective(followed) for target in self.targets]
            result = BatchResult(
                maps=run.maps(objectives),
                classes=[objective.classes.tolist() for objective in objectives],
                best=ranking[:, : self.top_k].tolist(),
                probabilities=probabilities.numpy(),
            )
        region = self._preprocessor.geometry(frames[0]).region
        return self._assembler.assemble(frames, result, region)

    def _followed(
        self, frames: Sequence[Frame], probabilities: torch.Tensor, tracker: Tracker
    ) -> torch.Tensor:
        """Rank the classes of frames that follow each other, int64 (N, as many as are shown or explained)."""
        count = max(self.top_k, *(1 + (target.rank or 0) for target in self.targets))
        return torch.from_numpy(tracker.rank(frames, probabilities.numpy(), self.model.labels, count))

    def _run(self, pixels: NDArray[np.uint8]) -> Run:
        """Run the network on pixels (N, H, W, 3)."""
        if self._split is not None:
            try:
                return self._mapper.run(pixels, self._split.run(pixels))
            except BackendMismatchError:
                self._split, self.backend = None, "torch"
                self._backend_reason = (
                    "OpenVINO computes this network differently from torch, so torch runs it"
                )
                self.notes.append(self._backend_reason)
        recorded = None if self._recordings is None else self._recordings.run(pixels, self.targets)
        return recorded or self._mapper.run(pixels)
