"""Caches that end with their object."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import numpy as np
import pytest
import torch
from media_factory import make_image
from torch import nn

from streamcam.caching import cached_method
from streamcam.explain import Explainer
from streamcam.explain.backends.conversion import load_backbone
from streamcam.media.images import coding_of
from streamcam.models import InputSpec, load_model
from streamcam.overlay import label_panel
from streamcam.overlay.tags import TagRenderer
from streamcam.session import hud
from streamcam.session.hud import HudState


class Squares:
    def __init__(self) -> None:
        self.computed: list[int] = []

    @cached_method(maxsize=2)
    def square(self, number: int) -> int:
        self.computed.append(number)
        return number**2


def test_what_is_cached_is_not_computed_again_until_it_is_dropped() -> None:
    squares, others = Squares(), Squares()
    assert [squares.square(number) for number in (2, 3, 2, 4, 2, 3)] == [4, 9, 4, 16, 4, 9]
    assert squares.computed == [2, 3, 4, 3]
    assert others.square(2) == 4
    assert others.computed == [2]


def _draw_labels() -> object:
    image = make_image(64, 48)
    renderer = label_panel._PanelRenderer(1.0, 640, 360, 0, image.format.name, coding_of(image))
    caption = label_panel._Caption("cat", True, None, label_panel.WIDEST_PERCENTAGE)
    renderer.lay_out((caption,))
    renderer.draw_label(caption, 20, 80, 0)
    return renderer


def _draw_tags() -> object:
    image = make_image(64, 48)
    renderer = TagRenderer(1.0, 640, 360, image.format.name, coding_of(image))
    renderer.encode_color((255, 0, 0))
    renderer.render("cat", (255, 0, 0), 200)
    return renderer


def _draw_messages() -> object:
    image = make_image(64, 48)
    panels = hud._Panels(640, 360, image.format.name, coding_of(image))
    panels.arrange(HudState(messages=("a message",)), 0)
    return panels


class _Backbone(nn.Module):
    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (pixels + 1,)


def _run_network() -> object:
    backbone = load_backbone(_Backbone().eval(), InputSpec(), size=(4, 4), device="CPU", cache=None)
    assert backbone is not None
    backbone.run(np.zeros((1, 4, 4, 3), np.uint8), 1)
    return backbone


class _TwoParts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, 2)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        return self.head(self.features(pixels).relu().mean((2, 3)))


def _explain(method: str) -> object:
    model = load_model(_TwoParts().eval(), input_size=(32, 32))
    explainer = Explainer(model, method=method, target_layer="features", backend="openvino")
    explainer.explain(np.zeros((32, 32, 3), np.uint8))
    return explainer.runner.split  # with what is compiled, and the largest part


@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize("method", ["gradcam", "scorecam", "layercam", "occlusion"])
def test_a_network_that_explained_is_freed_with_its_explainer(method: str) -> None:
    alive = weakref.ref(_explain(method))
    assert alive() is None


@pytest.mark.usefixtures("_no_garbage_collection")
@pytest.mark.parametrize("draw", [Squares, _draw_labels, _draw_tags, _draw_messages, _run_network])
def test_results_are_freed_with_their_object(draw: Callable[[], object]) -> None:
    renderer = draw()
    if isinstance(renderer, Squares):
        renderer.square(2)
    alive = weakref.ref(renderer)
    del renderer
    assert alive() is None
