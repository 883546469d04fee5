"""Run a network on batches: its backbone on OpenVINO, all of it as CUDA graphs, or plainly in torch."""

from __future__ import annotations

import copy
import dataclasses
import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.backends.backbone import NOT_INT8
from streamcam.explain.backends.cache import cache_directory
from streamcam.explain.backends.choice import BackendRequest, choose_backend
from streamcam.explain.backends.cuda_graphs import captured_graphs_for
from streamcam.explain.backends.split_network import BackendMismatchError, SplitNetwork
from streamcam.explain.batch import BatchRun, EagerRun, MapMaker
from streamcam.explain.calibration import Calibration
from streamcam.explain.cores import available_cores
from streamcam.explain.devices import PRECISIONS, DeviceChoice
from streamcam.explain.hooks import evaluating
from streamcam.explain.memory import backbone_batch_size
from streamcam.explain.method_inputs import VARIANTS_AT_ONCE
from streamcam.explain.methods import METHODS
from streamcam.explain.precision_check import hooked_network
from streamcam.explain.preparation import PreparedModel, as_stills
from streamcam.explain.targets import Target
from streamcam.models import Layer, Model, Output
from streamcam.models.check_images import check_images
from streamcam.models.preprocessing import Preprocessor
from streamcam.models.probing import trial_size

_logger = logging.getLogger("streamcam.explain")

_DIFFERS = "OpenVINO computes this network differently from torch, so torch runs it"


class NetworkRunner:
    """Runs a network in the quickest way that gives what torch gives. Belongs to one thread.

    Attributes:
        notes: Sentences for the user about what was chosen.
    """

    def __init__(
        self,
        prepared: PreparedModel,
        layers: Sequence[Layer],
        method: str,
        options: Mapping[str, int | float],
        preprocessor: Preprocessor,
        *,
        device: DeviceChoice,
        precisions: Sequence[str],
        backend: str,
        batch_size: int,
        calibrate: Callable[[], Calibration] | None = None,
    ) -> None:
        """Choose what runs the network.

        Args:
            prepared: The model, tried out.
            layers: The target layers.
            method: A name in `METHODS`.
            options: The method's options.
            preprocessor: Makes the network's input.
            device: Where the network is.
            precisions: Names in `PRECISIONS`, the preferred one first.
            backend: A name in `streamcam.explain.backends.choice.BACKENDS`.
            batch_size: Number of images that go through the network at once.
            calibrate: Returns the images that int8 is calibrated by.

        Raises:
            UnknownNameError: if there is no such backend.
            InvalidArgumentError: if OpenVINO is required and cannot run this.
            StreamcamError: one of its subclasses, if the network cannot be quantized as asked for.
        """
        asks_for_int8 = "int8" in precisions
        model, probe = prepared.model, prepared.probe
        if "image_scorer" in METHODS[method].needs:
            # Small differences between scores make the map: they are not to be rounding.
            precisions = precisions[-1:]
        self._device = device.torch
        size = trial_size(model, probe.fit)
        # Where torch runs on a processor, nothing below float32 has been seen to be quicker.
        in_torch = precisions[-1:] if device.torch.type == "cpu" else precisions
        with torch.inference_mode(False), evaluating(model.module):
            network = hooked_network(
                model,
                layers,
                [PRECISIONS[name] for name in in_torch],
                lambda: preprocessor.prepare(as_stills(model, check_images(*size)[:batch_size])),
            )
            self._preferred, self._reason = choose_backend(
                "openvino" if device.openvino else backend,
                BackendRequest(
                    model,
                    layers,
                    METHODS[method],
                    device=device.torch,
                    backend_device=device.openvino or "CPU",
                    precisions=precisions,
                    size=size,
                    batch_size=backbone_batch_size(batch_size),
                    cache=cache_directory(),
                    calibrate=calibrate,
                ),
            )
        self.notes = self._notes_on_int8(method) if asks_for_int8 else []
        self._split = self._preferred
        self._map_maker = MapMaker(
            network,
            METHODS[method],
            options,
            preprocessor.prepare,
            VARIANTS_AT_ONCE if probe.batches else 1,
        )
        self._in_openvino = model.no_gradients is not None
        is_captured = model.clip_length == 1 and not self._in_openvino
        self._graphs = captured_graphs_for(device.torch, self.map_maker) if is_captured else None

    @property
    def map_maker(self) -> MapMaker:
        """Runs the network in torch, and computes maps in any case.

        OpenVINO answers to its changed images, where it can. It is not kept with that, as the two would hold
        each other, and a network that is not used any more would stay in memory.
        """
        if self._preferred is None:
            return self._map_maker
        return dataclasses.replace(self._map_maker, answer=self._answer)

    def _notes_on_int8(self, method: str) -> list[str]:
        """Say how near int8 is to float32, or why it is not used."""
        if self._preferred is None:
            return [f"int8 is not used: {self._reason}"]
        if self._preferred.fidelity is None:
            return [f"int8 is not used: {method} compares small differences of scores"]
        return [self._preferred.fidelity.note]

    def reading_with(self, model: Model) -> NetworkRunner:
        """Return a runner of the same network whose answer is read by another model; use both in one thread.

        Args:
            model: Another model around the same network.
        """
        other = copy.copy(self)
        network = copy.copy(self._map_maker.network)
        network.model = model
        other._map_maker = dataclasses.replace(self._map_maker, network=network)
        other._preferred = None if self._preferred is None else self._preferred.reading_with(model)
        other._split = None if self._split is None else other._preferred
        if self._graphs is not None:
            other._graphs = captured_graphs_for(self._device, other.map_maker)
        return other

    def beside(self) -> NetworkRunner:
        """Return a runner of the same network for another video; the two are used in turn."""
        other = copy.copy(self)
        other._preferred = None if self._preferred is None else self._preferred.beside()
        other._split = other._preferred
        return other

    @property
    def split(self) -> SplitNetwork | None:
        """The network whose backbone is for OpenVINO; None if torch runs all of it."""
        return self._preferred

    @property
    def backend(self) -> str:
        """The backend that runs the backbone: ``"openvino"`` or ``"torch"``."""
        return "openvino" if self._in_openvino or self._split is not None else "torch"

    @property
    def reason(self) -> str:
        """Why this backend was chosen, and how it is used."""
        graphs = "" if self._graphs is None else f"; {self._graphs.reason}"
        return (self._reason if self._split is self._preferred else _DIFFERS) + graphs

    @property
    def precision(self) -> str:
        """Precision of the network for the last images: a name in `PRECISIONS`."""
        if self._split is not None:
            return self._split.precision
        return next(name for name, dtype in PRECISIONS.items() if dtype == self._map_maker.network.dtype)

    @property
    def calibrated_by(self) -> str | None:
        """Hash of the images that the network was quantized to int8 by; None if it was not."""
        return None if self._preferred is None else self._preferred.calibrated_by

    @property
    def threads(self) -> int:
        """Number of threads that torch is best given."""
        return available_cores() if self._split is None else self._split.head_threads

    def run(
        self,
        pixels: NDArray[np.uint8],
        targets: Sequence[Target] | None,
        notes: list[str],
        *,
        batch_size: int | None = None,
    ) -> BatchRun:
        """Run the network.

        Args:
            pixels: Images (N, H, W, 3) or clips (N, T, H, W, 3).
            targets: What will be explained; None if several maps are asked for, by other methods too.
            notes: Takes a sentence where OpenVINO turns out to compute something else, and torch is used.
            batch_size: Number of images that OpenVINO fills up a shorter batch to; the usual one if None.
        """
        if self._split is not None:
            try:
                forward_pass = self._split.run(pixels, batch_size)
            except BackendMismatchError:
                self._leave_openvino()
                notes.append(_DIFFERS)
            else:
                if self._split.fidelity is not None and self._split.precision != "int8":
                    notes += [] if NOT_INT8 in notes else [NOT_INT8]
                return self.map_maker.run(pixels, forward_pass)
        if self._graphs is None or targets is None:
            return self.map_maker.run(pixels)
        return self._graphs.run(pixels, targets) or self.map_maker.run(pixels)

    def begin_video(self, notes: list[str]) -> None:
        """Forget what earlier images decided: a video's own first images decide how it is computed.

        Else its maps would depend on which other videos came before.

        Args:
            notes: What `run` has added is taken out again.
        """
        self._split = self._preferred
        if self._split is not None:
            self._split.forget()
        for note in (_DIFFERS, NOT_INT8):
            if note in notes:
                notes.remove(note)

    def score(self, pixels: NDArray[np.uint8]) -> Output:
        """Return the network's answer to images, without a graph.

        Args:
            pixels: RGB, uint8 (N, H, W, 3).
        """
        if self._split is not None:
            try:
                return self._split.score(pixels)
            except BackendMismatchError:
                self._leave_openvino()
        with torch.no_grad():
            return self._map_maker.network.forward(self._map_maker.prepare(pixels))

    def run_prepared(self, inputs: torch.Tensor) -> BatchRun:
        """Run the network on images that were changed after they were prepared.

        Args:
            inputs: As `Model.prepare` returns them, float32 (N, C, H, W), on the device.
        """
        if self._split is not None:
            try:
                forward_pass = self._split.run(inputs.numpy(), len(inputs))
            except BackendMismatchError:
                self._leave_openvino()
            else:
                return EagerRun(self.map_maker, lambda: inputs, inputs.shape[2:], forward_pass)
        return EagerRun(self.map_maker, lambda: inputs, inputs.shape[2:], self.map_maker.network.run(inputs))

    def score_prepared(self, inputs: torch.Tensor, padded_to: int | None = None) -> Output:
        """Return the network's answer to such images, without a graph.

        Args:
            inputs: As for `run_prepared`.
            padded_to: Number of images that a shorter batch is padded to in OpenVINO, where each number takes
                a compiled network of its own; None for none.
        """
        if self._split is not None:
            try:
                return self._split.score(inputs.numpy(), padded_to or len(inputs))
            except BackendMismatchError:
                self._leave_openvino()
        with torch.no_grad():
            return self._map_maker.network.forward(inputs)

    def _answer(self, inputs: torch.Tensor) -> Output:
        """Answer to images that a method has changed, as many at once as it does in torch."""
        return self.score_prepared(inputs, padded_to=self._map_maker.variants_at_once)

    def _leave_openvino(self) -> None:
        self._split = None
        _logger.info("%s", _DIFFERS)

    def free_memory(self) -> None:
        """Drop what was captured for batches that have become too large."""
        if self._graphs is not None:
            self._graphs.clear()
