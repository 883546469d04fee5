"""Batches: chosen, and halved where memory is short."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from quantizable import Convolutions, blobs, model_of
from torch import nn

from streamcam.errors import ModelError
from streamcam.explain import Explainer
from streamcam.explain.memory import HEAVY_HEAD, backbone_batch_size, choose_batch_size, run_what_fits
from streamcam.explain.preparation import choose_layers, count_parameters_behind, prepare_model
from streamcam.models import Classifier, InputSpec, Layer
from streamcam.models.labels import numbered_labels

CPU, GPU = torch.device("cpu"), torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("free_images", "size"),
    [(1000, 16), (67, 16), (63, 8), (20, 4), (8, 2), (3, 1), (0, 1)],  # a quarter of what is free is taken
)
def test_a_batch_is_as_large_as_memory_allows(
    monkeypatch: pytest.MonkeyPatch, free_images: int, size: int
) -> None:
    layers = [
        Layer("one", "Conv2d", (1, 8, 16, 16), None, False),
        Layer("two", "Linear", (1, 10), None, False),
    ]
    image = 4 * (8 * 16 * 16 + 10)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free_images * image, 10**12))
    assert choose_batch_size(GPU, layers) == size
    assert choose_batch_size(CPU, layers) == 4


def short_of_memory(limit: int, error: type[RuntimeError] = torch.OutOfMemoryError) -> list[int]:
    """Double numbers, no more than ``limit`` at a time; return what was tried."""
    tried: list[int] = []

    def double(numbers: Sequence[int]) -> list[int]:
        tried.append(len(numbers))
        if len(numbers) > limit:
            raise error("MPS backend out of memory" if error is RuntimeError else "no memory")
        return [2 * number for number in numbers]

    results = run_what_fits(double, range(16), CPU, tried.append)
    assert results == [2 * number for number in range(limit)]
    return tried


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_a_batch_that_does_not_fit_is_halved(error: type[RuntimeError]) -> None:
    assert short_of_memory(4, error) == [16, 8, 8, 4, 4]  # each half is announced before it is tried


def test_what_fits_is_not_halved() -> None:
    assert short_of_memory(16) == [16]


def test_a_single_image_that_does_not_fit_is_an_error() -> None:
    with pytest.raises(ModelError, match=r"is too small for a single image.*`device='cpu'`"):
        short_of_memory(0)


def test_other_errors_are_none_of_memorys() -> None:
    def fail(_items: Sequence[int]) -> list[int]:
        raise RuntimeError("shapes do not match")

    with pytest.raises(RuntimeError, match="shapes do not match"):
        run_what_fits(fail, [1, 2], CPU, lambda _size: None)


class Greedy(nn.Module):
    """Takes two images at a time, and is out of memory for more."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 3, 1, bias=False)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > 2:
            raise torch.OutOfMemoryError("tried to allocate more than there is")
        return self.features(batch).mean(dim=(2, 3))


def test_a_run_goes_on_with_smaller_batches_and_says_so_once() -> None:
    classifier = Classifier("greedy", Greedy(), numbered_labels(3), InputSpec(8, 8), "none")
    explainer = Explainer(classifier, backend="torch", batch_size=8, target_layer="features")
    images = [np.full((8, 8, 3), 20 * number, np.uint8) for number in range(9)]
    explanations = explainer.explain(images)
    assert [one.frame_index for one in explanations] == list(range(9))
    assert explainer.batch_size == 2
    assert explainer.explain(images)[0].predictions == explanations[0].predictions
    (note,) = (note for note in explainer.notes if "memory" in note)
    assert note == "cpu is short of memory: fewer images go through the network at once"


def test_on_processors_batches_are_of_four_and_of_sixteen_where_a_heavy_head_is_read_for_each() -> None:
    assert choose_batch_size(CPU, [], HEAVY_HEAD) == 4
    assert choose_batch_size(CPU, [], HEAVY_HEAD + 1) == 16
    assert [backbone_batch_size(size) for size in (1, 2, 3, 4, 6, 8, 16)] == [1, 2, 3, 4, 6, 4, 4]


def test_the_head_is_what_runs_after_the_target_layer() -> None:
    prepared = prepare_model(model_of(Convolutions()), None, CPU)
    (last,) = choose_layers(prepared, "features.8", "gradcam")
    assert count_parameters_behind(prepared, [last]) == 8 * 4 + 4
    (before,) = choose_layers(prepared, "features.6", "gradcam")
    assert count_parameters_behind(prepared, [before]) == (16 * 8 + 8) + (8 * 4 + 4)
    assert count_parameters_behind(prepared, [before, last]) == (16 * 8 + 8) + (8 * 4 + 4)
    assert count_parameters_behind(prepared, []) == 0


def test_a_large_batch_goes_through_openvino_in_parts_and_through_the_head_at_once() -> None:
    images = blobs(9)
    whole = Explainer(model_of(Convolutions()), precision="fp32", batch_size=16).explain(images)
    four = Explainer(model_of(Convolutions()), precision="fp32", batch_size=4).explain(images)
    for ours, theirs in zip(whole, four, strict=True):
        np.testing.assert_allclose(
            *(next(iter(each.heatmaps.values())) for each in (ours, theirs)), rtol=1e-5, atol=1e-7
        )
