"""Having a device repeat a whole batch by itself.

A network is hundreds of small pieces of work. A fast device does each of them sooner than Python orders the
next, so that a single image takes as long as the ordering. CUDA graphs record the pieces once, those of the
network and those of gradients and maps, and repeat them at one order each. What they read and write stays in
its place: pixels and classes are put there before, and maps are copied from there afterwards.

Nothing is believed of a recording until it has given for real images what torch gives piece by piece. Where
that fails, or recording does, work goes on piece by piece.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.batch import Mapper
from streamcam.explain.hooks import ForwardPass
from streamcam.explain.methods import HEAD_ONLY, Method
from streamcam.explain.objectives import Objective
from streamcam.explain.precision_check import close_to
from streamcam.explain.targets import Target
from streamcam.frames import FloatArray

_MAX_RECORDINGS = 4
"""How many are kept, each with memory of its own: a video has one shape, a folder of photographs many."""

_BEFORE_RECORDING = 2
"""How often in a row a shape must have come: recording takes as long as several batches, and a video's last
batch, which is shorter, comes once."""

_WARM_UP = 3
"""What libraries choose and allocate when they first meet a shape is not to be recorded."""

_TOLERANCE = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 2e-2}
"""How far a recording may be from torch piece by piece, as a share of the largest value. Both use the same
kernels, unless a library chooses others."""

_one_at_a_time = threading.Lock()
"""A process may record only one graph at a time."""

Work = Callable[[], torch.Tensor]


class Recorder(Protocol):
    """Records work of a device whose inputs and outputs stay in their places."""

    def warm_up(self, work: Callable[[], object]) -> None:
        """Do work a few times, as it will be done while it is recorded."""
        ...

    def record(self, work: Work) -> tuple[torch.Tensor, Callable[[], None]]:
        """Record work that reads nothing from the device.

        Returns:
            Where its result will be; and what does the work again and puts its result there. What is recorded
            later may use what was recorded before, if it is repeated after it.
        """
        ...


class CudaRecorder:
    """Records CUDA graphs, for one device and in memory of their own."""

    def __init__(self, device: torch.device) -> None:
        """Assign.

        Args:
            device: Where the work is done.
        """
        self._device = device
        # The same stream throughout: what libraries set up for a stream must be there when recording begins.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], object]) -> None:
        """As in `Recorder`: beside the usual stream, as the work will be recorded."""
        usual = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                work()
        usual.wait_stream(self._stream)

    def record(self, work: Work) -> tuple[torch.Tensor, Callable[[], None]]:
        """As in `Recorder`. Other threads, such as decoders', may use the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            result = work()
        return result, graph.replay


class RecordedRun:
    """Batches of one shape, explained for targets of one kind; a `Run` of the last."""

    def __init__(
        self,
        recorder: Recorder,
        device: torch.device,
        mapper: Mapper,
        shape: Sequence[int],
        against: Sequence[int | None],
    ) -> None:
        """Record.

        Args:
            recorder: For the device.
            device: Where the mapper's network is.
            mapper: With a method that can be recorded.
            shape: (N, H, W, 3) of the pixels.
            against: For each target the class that it is held against, if any.

        Raises:
            Exception: whatever the network, the method or the device raises where they cannot be recorded.
        """
        module = mapper.network.classifier.module
        # Recorded work reads these where they are now, whatever becomes of the module.
        self._kept_alive = [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]
        self._pixels = torch.zeros(tuple(shape), dtype=torch.uint8, device=device)
        self._classes = torch.zeros((len(against), shape[0]), dtype=torch.int64, device=device)
        objectives = [Objective(row, other) for row, other in zip(self._classes, against, strict=True)]
        self._source: NDArray[np.uint8]
        self._forward_pass: ForwardPass

        def run_network() -> torch.Tensor:
            self._forward_pass = mapper.network.run(mapper.normalise(self._pixels))
            return self._forward_pass.logits.detach()

        def make_maps() -> torch.Tensor:
            return mapper.maps(_no_inputs, shape[1:3], self._forward_pass, objectives)

        recorder.warm_up(lambda: (run_network(), make_maps()))
        self._logits, self._run_network = recorder.record(run_network)
        self._maps, self._make_maps = recorder.record(make_maps)

    @property
    def logits(self) -> torch.Tensor:
        """As in `streamcam.explain.batch.Run`."""
        return self._logits

    def start(self, pixels: NDArray[np.uint8]) -> None:
        """Run the network on the next batch."""
        self._pixels.copy_(torch.from_numpy(pixels), non_blocking=True)
        self._source = pixels  # which the device may still be reading when this returns
        self._run_network()

    def maps(self, objectives: Sequence[Objective]) -> FloatArray:
        """As in `streamcam.explain.batch.Run`."""
        self._classes.copy_(torch.stack([objective.classes for objective in objectives]))
        self._make_maps()
        maps: FloatArray = self._maps.to("cpu", copy=True).numpy()
        return maps


def _no_inputs() -> torch.Tensor:
    raise AssertionError("methods that ask for the network's input are not recorded")


class Recordings:
    """The recordings of one network and method, made as shapes come along.

    Attributes:
        reason: Why batches are, or are not, repeated by the device itself.
    """

    def __init__(
        self, device: torch.device, mapper: Mapper, make_recorder: Callable[[torch.device], Recorder]
    ) -> None:
        """Assign; see `recordings_for`.

        Args:
            device: Where the mapper's network is.
            mapper: With a method that can be recorded.
            make_recorder: Makes a recorder for a device.
        """
        self.reason = "batches that come again and again are repeated as CUDA graphs"
        self._device = device
        self._mapper = mapper
        self._make_recorder = make_recorder
        self._runs: OrderedDict[Any, RecordedRun] = OrderedDict()
        self._last: Any = None
        self._times = 0
        self._given_up = False

    def run(self, pixels: NDArray[np.uint8], targets: Sequence[Target]) -> RecordedRun | None:
        """Begin a batch, if it is of a kind that has been recorded or now is.

        Args:
            pixels: RGB, uint8 (N, H, W, 3).
            targets: What is to be explained.

        Returns:
            None where the batch is to be run piece by piece.
        """
        if self._given_up or any(target.function is not None for target in targets):
            return None
        against = tuple(target.against for target in targets)
        key = (pixels.shape, against)
        if key not in self._runs and not (self._comes_often(key) and self._record(key, pixels)):
            return None
        self._runs.move_to_end(key)
        self._runs[key].start(pixels)
        return self._runs[key]

    def give_up(self, reason: str) -> None:
        """Leave all batches that come to be run piece by piece."""
        self.reason, self._given_up = reason, True
        self.clear()

    def clear(self) -> None:
        """Give back the memory of all recordings."""
        self._runs.clear()
        self._last = None

    def _comes_often(self, key: Any) -> bool:
        self._times = self._times + 1 if key == self._last else 1
        self._last = key
        return self._times > _BEFORE_RECORDING

    def _record(self, key: Any, pixels: NDArray[np.uint8]) -> bool:
        shape, against = key
        try:
            with _one_at_a_time:
                recorder = self._make_recorder(self._device)
                run = RecordedRun(recorder, self._device, self._mapper, shape, against)
            agrees = self._agrees(run, pixels, against)
        except Exception as error:  # whatever a network does that cannot be recorded, or memory that is short
            told = " ".join(str(error).split()) or type(error).__name__
            self.give_up(f"it cannot be recorded as a CUDA graph ({told[:200]})")
            return False
        if not agrees:
            self.give_up("CUDA graphs give something else than torch piece by piece")
            return False
        self._runs[key] = run
        if len(self._runs) > _MAX_RECORDINGS:
            self._runs.popitem(last=False)
        return True

    def _agrees(self, run: RecordedRun, pixels: NDArray[np.uint8], against: Sequence[int | None]) -> bool:
        """Compare a recording, made of black images, with torch for real ones."""
        expected = self._mapper.run(pixels)
        classes = expected.logits.argmax(dim=1)
        objectives = [Objective(classes, other) for other in against]
        tolerance = _TOLERANCE[self._mapper.network.dtype]
        run.start(pixels)
        return close_to(run.logits.cpu().numpy(), expected.logits.cpu().numpy(), tolerance) and close_to(
            run.maps(objectives), expected.maps(objectives), tolerance
        )


def recordings_for(device: torch.device, mapper: Mapper) -> Recordings | None:
    """Set up recordings, where a device makes them; None where it does not."""
    if device.type != "cuda":
        return None
    recordings = Recordings(device, mapper, CudaRecorder)
    if not can_be_recorded(mapper.method):
        recordings.give_up("the method cannot be recorded as a CUDA graph")
    return recordings


def can_be_recorded(method: Method) -> bool:
    """Tell whether a method looks at nothing but what the network has left behind on the device."""
    return not method.looks_at_values and set(method.needs) <= HEAD_ONLY
