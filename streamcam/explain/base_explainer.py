"""Explain frames with what an explainer has chosen: run the network on batches, and make maps."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from streamcam.explain.assembly import note_emptiness
from streamcam.explain.batch import BatchRun
from streamcam.explain.cancellation import IsCancelled
from streamcam.explain.clip_runs import ClipRunner
from streamcam.explain.concepts import SAMPLED_FRAMES, Concepts
from streamcam.explain.deletion import remove_hottest
from streamcam.explain.description import DescribedExplainer
from streamcam.explain.hooks import evaluating, plain_attention
from streamcam.explain.memory import run_what_fits
from streamcam.explain.methods import METHODS
from streamcam.explain.preparation import as_clips
from streamcam.explain.questions import Question, rank_batch
from streamcam.explain.runner import NetworkRunner
from streamcam.explain.short_batches import ShortBatches
from streamcam.explain.targets import Target
from streamcam.explain.threads import torch_threads
from streamcam.explanations import Explanation
from streamcam.frames import FloatArray, Frame, check_inside
from streamcam.models import Model, Segmenter
from streamcam.models.preprocessing import Preprocessor
from streamcam.sources.given_images import frame_of, frames_of

if TYPE_CHECKING:
    from streamcam.sources.given_images import ImageLike
    from streamcam.temporal import Tracker

_logger = logging.getLogger("streamcam.explain")


class BaseExplainer(DescribedExplainer, ShortBatches):
    """Explains images and frames with what `streamcam.Explainer`, its only child, has chosen.

    Attributes:
        model: The model that is explained, on its device.
        target_layer: Dotted name of the layer whose output the maps are made of; several are joined by ``+``.
        fit: How frames are fitted into the network's input.
        method: Name of the method.
        targets: What is explained.
        top_k: Number of predictions that are listed.
        batch_size: Number of images that go through the network at once.
        device: Where the network is.
        notes: What the user should know about the choices made, one sentence each.
        runner: Runs the network.
    """

    model: Model
    target_layer: str
    fit: str
    method: str
    targets: tuple[Target, ...]
    top_k: int
    batch_size: int
    device: torch.device
    notes: list[str]
    runner: NetworkRunner
    _questions: Sequence[Question]
    _preprocessor: Preprocessor
    _clips: ClipRunner | None
    _concepts: Concepts | None
    _turn: threading.RLock
    _is_cancelled: IsCancelled | None = None

    @property
    def backend(self) -> str:
        """The backend that runs the backbone: ``"openvino"`` or ``"torch"``."""
        return self.runner.backend

    @property
    def backend_reason(self) -> str:
        """Why this backend was chosen, and how it is used."""
        return self.runner.reason

    @property
    def precision(self) -> str:
        """Precision of the network for the last images: a name in `PRECISIONS`."""
        return self.runner.precision

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
        pixels = self._preprocessor.pixels([frame_of(image)])
        return self._preprocessor.prepare(as_clips(self.model, pixels))

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
        self.learn(frames[:SAMPLED_FRAMES])
        explanations = self.explain_frames(frames)
        note_emptiness(explanations, self.notes)
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
            CancelledError: if it was cancelled meanwhile; see `cancelled_by`.
        """
        with self._turn, self.runner.map_maker.cancellation.asking(self._is_cancelled):
            return self._explain_in_turn(frames, tracker, context)

    @contextlib.contextmanager
    def cancelled_by(self, is_cancelled: IsCancelled) -> Iterator[None]:
        """Let methods of many passes end between two of them, inside of the context.

        Args:
            is_cancelled: Returns whether nobody waits for explanations any more; called often, in the
                explaining thread.
        """
        before, self._is_cancelled = self._is_cancelled, is_cancelled
        try:
            yield
        finally:
            self._is_cancelled = before

    def _explain_in_turn(
        self, frames: Sequence[Frame], tracker: Tracker | None, context: Sequence[Frame]
    ) -> list[Explanation]:
        if tracker is not None and frames[0].index == 0:
            self.runner.begin_video(self.notes)
            if self._concepts is not None:
                self._concepts.begin_video()
        if self._clips is None:
            groups = _grouped(frames, lambda frame: (frame.image.width, frame.image.height))
        else:
            self._clips.see(frames, tracker, context)
            groups = _grouped(frames, self._clips.clip_of)
            if self._clips.pads(frames):
                self._note(
                    f"where a shot has lasted shorter than a clip of {self.model.name} "
                    f"({self.clip_s:.1f} s), its first frame is repeated before it"
                )
        explanations: list[Explanation] = []
        explain = functools.partial(self._explain_batch, tracker=tracker)
        for waiting in groups:
            while waiting:
                batch = waiting[: self.batch_size]
                explained = run_what_fits(explain, batch, self.device, self._take_smaller_batches)
                explanations += explained
                del waiting[: len(explained)]
        return explanations

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        """Return the probability of every class in a frame whose hottest part is removed.

        Args:
            frame: A frame; not of a network that takes clips.
            heatmap: Its raw map, float32 (h, w); see `streamcam.explain.deletion`.

        Returns:
            float32 (classes,).
        """
        with self._turn, torch.inference_mode(False), evaluating(self.model.module):
            with torch_threads(self.runner.threads):
                pixels = self._preprocessor.pixels([frame])
                changed = remove_hottest(pixels[0], heatmap, self.model.input.mean)
                output = self.runner.score(changed[None])
            probabilities = output.probabilities
            if probabilities is None:
                probabilities = self.model.probabilities(output.scores)
            array: FloatArray = probabilities[0].float().cpu().numpy()
            return array

    @property
    def learns_from(self) -> int:
        """How many frames of a video `learn` is to be given; 0 if the method learns nothing."""
        return 0 if self._concepts is None else SAMPLED_FRAMES

    def learn(self, frames: Sequence[Frame]) -> None:
        """Learn from a sample of a video what its frames will be taken apart into, if the method does that.

        Without a sample, that is learned from the first frames, and slowly changes with those that come.

        Args:
            frames: The sample, of the video that is explained next.
        """
        if self._concepts is not None:
            with self._turn, self._concepts.gathering():
                self._explain_in_turn(frames, None, ())

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
            with self._turn:
                self._clips.see(frames, tracker, context)

    def _take_smaller_batches(self, size: int) -> None:
        self.batch_size = size
        self.runner.free_memory()
        self._note(f"{self.device} is short of memory: fewer images go through the network at once")

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _explain_batch(self, frames: Sequence[Frame], tracker: Tracker | None) -> list[Explanation]:
        # The caller may be in inference mode; gradients are taken here.
        threads = torch_threads(self.runner.threads)
        region = self._preprocessor.geometry(frames[0]).region
        if isinstance(self.model, Segmenter) and self.model.spot is not None:
            width, height = frames[0].image.width, frames[0].image.height
            check_inside(self.model.spot.edges, width, height)
            self.model.spot.place(width, height, region)
        attention = plain_attention() if METHODS[self.method].is_second_order else contextlib.nullcontext()
        with torch.inference_mode(False), evaluating(self.model.module), threads, attention:
            if self._clips is None:
                run = self._run(self._preprocessor.pixels(frames))
            else:
                run = self._clips.run(frames, self._run)
            batch = rank_batch(frames, run, region, self.model, self.targets, self.top_k, tracker)
            answers = batch.answer_all(self._questions)
        if self._concepts is not None and self._concepts.has_negative:
            self._note(
                f"{self.method} cuts off what is negative in layer {self.target_layer}, as its paper does"
            )
        return answers

    def _run(self, pixels: NDArray[np.uint8]) -> BatchRun:
        """Run the network on images (N, H, W, 3) or clips (N, T, H, W, 3)."""
        targets = self.targets if len(self._questions) == 1 else None
        batch_size = None if self._fills_singles or len(pixels) > 1 else 1
        return self.runner.run(pixels, targets, self.notes, batch_size=batch_size)


def _grouped(frames: Sequence[Frame], key: Callable[[Frame], Hashable]) -> list[list[Frame]]:
    """Group consecutive frames of one key."""
    return [list(alike) for _, alike in itertools.groupby(frames, key=key)]
