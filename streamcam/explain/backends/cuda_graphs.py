"""Capture the work for a batch as CUDA graphs, and replay them.

A network is hundreds of kernels. A fast GPU finishes each sooner than Python launches the next, so that a
single image takes as long as the launches. CUDA graphs capture the kernels once, those of the network and
those of gradients and maps, and replay them with one launch each. Their inputs and outputs have fixed places
in memory: pixels and classes are copied there before, and maps are copied from there afterwards.

A captured graph is used only after its output matched eager torch on a real batch. Otherwise, and where
capturing fails, torch runs eagerly.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.batch import MapMaker
from streamcam.explain.hooks import ForwardPass
from streamcam.explain.methods import HEAD_ONLY, Method
from streamcam.explain.objectives import Objective
from streamcam.explain.precision_check import close_to
from streamcam.explain.targets import Target
from streamcam.frames import FloatArray

_MAX_CAPTURED = 4
"""Number of captured runs that are kept: a video has one shape, a folder of photographs many."""

_BEFORE_CAPTURING = 2
"""Number of batches of one shape in a row before capturing, which takes as long as several batches: a
video's last batch, which is shorter, comes once."""

_WARM_UP = 3
"""Runs before capturing: libraries choose kernels and allocate when they first meet a shape."""

_TOLERANCE = {torch.float32: 1e-3, torch.float16: 1e-2, torch.bfloat16: 2e-2}
"""How far a captured run may be from eager torch, as a fraction of the largest value. Both use the same
kernels, unless a library chooses others."""

_one_at_a_time = threading.Lock()
"""A process may capture only one graph at a time."""

Work = Callable[[], torch.Tensor]


class GraphCapturer(Protocol):
    """Captures work of a device whose inputs and outputs stay in their places."""

    def warm_up(self, work: Callable[[], object]) -> None:
        """Do work a few times, as it will be done while it is captured."""
        ...

    def capture(self, work: Work) -> tuple[torch.Tensor, Callable[[], None]]:
        """Capture work that reads nothing from the device.

        Returns:
            The tensor that will hold its result, and a function that repeats the work. Work that is captured
            later may use earlier results, if it is repeated after them.
        """
        ...


class CudaGraphCapturer:
    """Captures CUDA graphs on one device, with a memory pool for them."""

    def __init__(self, device: torch.device) -> None:
        """Set up a stream and a memory pool.

        Args:
            device: The device that does the work.
        """
        self._device = device
        # The same stream throughout: what libraries set up for a stream must be there when capturing begins.
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, work: Callable[[], object]) -> None:
        """As in `GraphCapturer`: beside the usual stream, as the work will be captured."""
        usual = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(usual)
        with torch.cuda.stream(self._stream):
            for _ in range(_WARM_UP):
                work()
        usual.wait_stream(self._stream)

    def capture(self, work: Work) -> tuple[torch.Tensor, Callable[[], None]]:
        """As in `GraphCapturer`. Other threads, such as decoders', may use the device meanwhile."""
        graph = torch.cuda.CUDAGraph()
        with (
            torch.cuda.device(self._device),
            torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"),
        ):
            result = work()
        return result, graph.replay


class CapturedRun:
    """Batches of one shape, explained for one kind of targets; a `BatchRun` of the last one."""

    def __init__(
        self,
        capturer: GraphCapturer,
        device: torch.device,
        map_maker: MapMaker,
        shape: Sequence[int],
        against: Sequence[int | None],
    ) -> None:
        """Capture the work.

        Args:
            capturer: A capturer for the device.
            device: The network's device.
            map_maker: The network, with a method that can be captured.
            shape: (N, H, W, 3) of the pixels.
            against: For each target the class whose score is subtracted, or None.

        Raises:
            Exception: whatever the network, the method or the device raises if they cannot be captured.
        """
        module = map_maker.network.model.module
        # Captured work reads these where they are now, whatever becomes of the module.
        self._kept_alive = [tensor.detach() for tensor in (*module.parameters(), *module.buffers())]
        self._pixels = torch.zeros(tuple(shape), dtype=torch.uint8, device=device)
        self._classes = torch.zeros((len(against), shape[0]), dtype=torch.int64, device=device)
        objectives = [Objective(row, other) for row, other in zip(self._classes, against, strict=True)]
        self._source: NDArray[np.uint8]
        self._forward_pass: ForwardPass

        def run_network() -> torch.Tensor:
            self._forward_pass = map_maker.network.run(map_maker.prepare(self._pixels))
            output = self._forward_pass.output
            if output.instances is not None or output.probabilities is not None:
                raise RuntimeError("instances are read from the device for every batch")
            return self._forward_pass.scores.detach()

        def make_maps() -> torch.Tensor:
            self._forward_pass.gradients.clear()  # of other classes
            return map_maker.maps(_no_inputs, shape[-3:-1], self._forward_pass, objectives)

        capturer.warm_up(lambda: (run_network(), make_maps()))
        self._scores, self._run_network = capturer.capture(run_network)
        self._maps, self._make_maps = capturer.capture(make_maps)

    @property
    def scores(self) -> torch.Tensor:
        """As in `streamcam.explain.batch.BatchRun`."""
        return self._scores

    @property
    def probabilities(self) -> None:
        """As in `streamcam.explain.batch.BatchRun`: they follow from the scores."""
        return None

    @property
    def instances(self) -> None:
        """As in `streamcam.explain.batch.BatchRun`: runs with instances are not captured."""
        return None

    def start(self, pixels: NDArray[np.uint8]) -> None:
        """Run the network on the next batch."""
        self._pixels.copy_(torch.from_numpy(pixels), non_blocking=True)
        self._source = pixels  # which the device may still be reading when this returns
        self._run_network()

    def maps(self, objectives: Sequence[Objective], map_maker: MapMaker | None = None) -> FloatArray:
        """As in `streamcam.explain.batch.BatchRun`; only what was captured can be explained."""
        assert map_maker is None
        self._classes.copy_(torch.stack([objective.classes for objective in objectives]))
        self._make_maps()
        maps: FloatArray = self._maps.to("cpu", copy=True).numpy()
        return maps


def _no_inputs() -> torch.Tensor:
    raise AssertionError("methods that ask for the network's input are not captured")


class CapturedGraphs:
    """The captured runs of one network and method, by shape.

    Attributes:
        reason: Why batches are, or are not, run as CUDA graphs.
    """

    def __init__(
        self,
        device: torch.device,
        map_maker: MapMaker,
        make_capturer: Callable[[torch.device], GraphCapturer],
    ) -> None:
        """Begin without any; see `captured_graphs_for`.

        Args:
            device: The network's device.
            map_maker: The network, with a method that can be captured.
            make_capturer: Makes a capturer for a device.
        """
        self.reason = "batches of a shape that repeats run as CUDA graphs"
        self._device = device
        self._map_maker = map_maker
        self._make_capturer = make_capturer
        self._runs: OrderedDict[Any, CapturedRun] = OrderedDict()
        self._last: Any = None
        self._times = 0
        self._given_up = False

    def run(self, pixels: NDArray[np.uint8], targets: Sequence[Target]) -> CapturedRun | None:
        """Run a batch as a CUDA graph, if its kind has been captured or now is.

        Args:
            pixels: RGB, uint8 (N, H, W, 3).
            targets: What is explained.

        Returns:
            None if the batch has to run eagerly.
        """
        if self._given_up or any(target.function is not None for target in targets):
            return None
        against = tuple(target.against for target in targets)
        key = (pixels.shape, against)
        if key not in self._runs and not (self._repeats(key) and self._capture(key, pixels)):
            return None
        self._runs.move_to_end(key)
        self._runs[key].start(pixels)
        return self._runs[key]

    def give_up(self, reason: str) -> None:
        """Let all further batches run eagerly."""
        self.reason, self._given_up = reason, True
        self.clear()

    def clear(self) -> None:
        """Free the memory of all captured runs."""
        self._runs.clear()
        self._last = None

    def _repeats(self, key: Any) -> bool:
        self._times = self._times + 1 if key == self._last else 1
        self._last = key
        return self._times > _BEFORE_CAPTURING

    def _capture(self, key: Any, pixels: NDArray[np.uint8]) -> bool:
        shape, against = key
        try:
            with _one_at_a_time:
                capturer = self._make_capturer(self._device)
                run = CapturedRun(capturer, self._device, self._map_maker, shape, against)
            agrees = self._agrees(run, pixels, against)
        except Exception as error:  # whatever a network does that cannot be captured, or too little memory
            message = " ".join(str(error).split()) or type(error).__name__
            self.give_up(f"it cannot be captured as a CUDA graph ({message[:200]})")
            return False
        if not agrees:
            self.give_up("CUDA graphs compute something else than eager torch")
            return False
        self._runs[key] = run
        if len(self._runs) > _MAX_CAPTURED:
            self._runs.popitem(last=False)
        return True

    def _agrees(self, run: CapturedRun, pixels: NDArray[np.uint8], against: Sequence[int | None]) -> bool:
        """Compare a run that was captured with black images to eager torch for real ones."""
        expected = self._map_maker.run(pixels)
        classes = expected.scores.argmax(dim=1)
        objectives = [Objective(classes, other) for other in against]
        tolerance = _TOLERANCE[self._map_maker.network.dtype]
        run.start(pixels)
        return close_to(run.scores.cpu().numpy(), expected.scores.cpu().numpy(), tolerance) and close_to(
            run.maps(objectives), expected.maps(objectives), tolerance
        )


def captured_graphs_for(device: torch.device, map_maker: MapMaker) -> CapturedGraphs | None:
    """Set up captured graphs for a device; None if it has none."""
    if device.type != "cuda":
        return None
    graphs = CapturedGraphs(device, map_maker, CudaGraphCapturer)
    if map_maker.network.model.finds_objects:
        graphs.give_up("the number of objects differs from image to image")
    elif not can_be_captured(map_maker.method):
        graphs.give_up("the method cannot be captured as a CUDA graph")
    return graphs


def can_be_captured(method: Method) -> bool:
    """Return whether a method uses nothing but the forward pass, and no values that decide what it does."""
    return not method.looks_at_values and set(method.needs) <= HEAD_ONLY
