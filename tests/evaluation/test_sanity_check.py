"""The sanity check of Adebayo et al. 2018 on the default network: the known result."""

from __future__ import annotations

import pytest

import streamcam
from streamcam.evaluation import MethodResult

CAMS = ("gradcam", "hirescam", "layercam")


@pytest.mark.slow
def test_random_weights_change_class_activation_maps_and_leave_guided_backpropagation() -> None:
    settings = streamcam.EvaluationSettings(
        methods=(*CAMS, "guided-backprop"), metrics=("deletion", "randomization"), frames=3
    )
    explainer = streamcam.Explainer(backend="torch", precision="fp32")
    result = streamcam.evaluate("media/sample.mp4", explainer, settings)
    left: dict[str, MethodResult] = {method.name: method for method in result.methods}
    for name in CAMS:
        assert left[name].randomization[1.0] < 0.3
    for name in ("gradcam", "hirescam"):
        assert left[name].randomization[0.25] < 0.3
    assert left["guided-backprop"].randomization[0.25] > 0.85
    assert result.best in CAMS
    assert "Not guided-backprop" in result.advice
