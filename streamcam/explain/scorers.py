"""Scoring changed versions of an image, for methods that run the network many times."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator

import torch

from streamcam.explain.cancellation import Cancellation
from streamcam.explain.hooks import HookedNetwork
from streamcam.explain.objectives import Objective
from streamcam.models import Output
from streamcam.models.layouts import Layout

_logger = logging.getLogger("streamcam.explain")


class ImageScorer:
    """Runs the network on changed images, a few at a time.

    Attributes:
        inputs: The images, float32 (N, C, H, W), normalized.
        baseline: The objective of the images as they are, float32 (N,).
    """

    def __init__(
        self,
        network: HookedNetwork,
        inputs: torch.Tensor,
        objective: Objective,
        batch_size: int,
        answer: Callable[[torch.Tensor], Output] | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Choose the objective.

        Args:
            network: The network.
            inputs: Images, float32 (N, C, H, W), normalized.
            objective: What is scored.
            batch_size: Number of images that go through the network at once.
            answer: Runs the network on changed images; the network itself if None.
            cancellation: Asked before every run of the network; None for one that is never cancelled.
        """
        self.inputs = inputs
        self._network = network
        self._answer = answer or network.forward
        self._objective = objective
        self._batch_size = batch_size
        self._cancellation = cancellation or Cancellation()

    @functools.cached_property
    def baseline(self) -> torch.Tensor:
        """The objective of the images as they are, float32 (N,)."""
        with torch.no_grad():
            return self._objective(self._answer(self.inputs))

    def score_inputs(
        self, variants: Iterator[torch.Tensor], row: int, count: int | None = None
    ) -> torch.Tensor:
        """Score changed versions of one image.

        Args:
            variants: Float32 (C, H, W) each.
            row: Index of the image in the batch.
            count: How many there are, for the progress that is logged; nothing is logged if None.

        Returns:
            float32 (number of variants,).
        """
        return self._score(variants, row, self._answer, count)

    def _score(
        self,
        variants: Iterator[torch.Tensor],
        row: int,
        run: Callable[[torch.Tensor], Output],
        count: int | None = None,
    ) -> torch.Tensor:
        scores: list[torch.Tensor] = []
        with torch.no_grad():
            for batch in stacked(variants, self._batch_size):
                self._cancellation.check()
                scores.append(self._objective(run(batch), rows_of(row, batch)))
                if count is not None:
                    done = sum(map(len, scores))
                    _logger.info("run %d of %d", done, count, extra={"progress": True})
        return torch.cat(scores) if scores else self.inputs.new_empty(0)


class Scorer(ImageScorer):
    """Runs the network on changed images or changed activations, a few at a time."""

    def __init__(
        self,
        network: HookedNetwork,
        inputs: torch.Tensor,
        output: torch.Tensor,
        layout: Layout,
        objective: Objective,
        batch_size: int,
        cancellation: Cancellation | None = None,
    ) -> None:
        """Choose the layer and the objective.

        Args:
            network: The network, with the layer as the only one that is kept.
            inputs: Images, float32 (N, C, H, W), normalized.
            output: The layer's output for them, in its own layout.
            layout: How that output lies on the image.
            objective: What is scored.
            batch_size: Number of images that go through the network at once.
            cancellation: As for `ImageScorer`.
        """
        super().__init__(network, inputs, objective, batch_size, cancellation=cancellation)
        self._output = output
        self._layout = layout

    def score_activations(self, variants: Iterator[torch.Tensor], row: int) -> torch.Tensor:
        """Score one image with changed activations of the layer.

        Args:
            variants: Float32 (K, h, w) each.
            row: Index of the image in the batch.

        Returns:
            float32 (number of variants,).
        """

        return self._score(variants, row, functools.partial(self._run_with, row=row))

    def answer_activations(self, activations: torch.Tensor) -> torch.Tensor:
        """Return what the network makes of other activations in the first image.

        Args:
            activations: Float32 (V, K, h, w).

        Returns:
            The scores, float32 (V, classes).
        """
        return torch.cat(
            [self._run_with(batch).scores for batch in torch.split(activations, self._batch_size)]
        )

    def _run_with(self, activations: torch.Tensor, row: int = 0) -> Output:
        own = self._output[row : row + 1].expand(len(activations), *self._output.shape[1:])
        outputs = self._layout.unfold(activations, own).contiguous()
        copies = 1 if self._broadcasts else len(activations)
        images = self.inputs[row : row + 1].expand(copies, -1, -1, -1)
        return self._network.run_with_output(images, outputs)

    @functools.cached_property
    def _broadcasts(self) -> bool:
        """Whether one image is enough to score several outputs of the layer.

        What comes before the layer then runs once for all of them. That works where what comes after it
        takes the size of the batch from the layer's output; a network that remembers the size from before,
        or joins both along the channels, needs as many images as outputs. A trial tells.
        """
        if self._batch_size == 1:
            return True
        image, own = self.inputs[:1], self._output[:1]
        pair = torch.cat([own, 0.5 * own + 1])
        expected = self._network.run_with_output(image.expand(2, -1, -1, -1), pair).scores
        try:
            scores = self._network.run_with_output(image, pair).scores
        except Exception:  # whatever this network raises where sizes do not fit
            return False
        if scores.shape != expected.shape:
            return False
        effect = (expected[1] - expected[0]).abs().max()
        return bool((scores - expected).abs().max() <= 0.01 * effect)


def rows_of(row: int, batch: torch.Tensor) -> torch.Tensor:
    """Return the row of each variant of one image, int64 (V,)."""
    return torch.full((len(batch),), row, device=batch.device)


def stacked(variants: Iterator[torch.Tensor], size: int) -> Iterator[torch.Tensor]:
    """Yield batches of changed images, the last one maybe smaller."""
    waiting: list[torch.Tensor] = []
    for variant in variants:
        waiting.append(variant)
        if len(waiting) == size:
            yield torch.stack(waiting)
            waiting = []
    if waiting:
        yield torch.stack(waiting)
