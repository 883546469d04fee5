"""Gradients of many objects at once, where a detector can compute their scores from features of their own."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from streamcam.explain.hooks import ForwardPass, HookedNetwork, KnownGradients
from streamcam.explain.objectives import Objective
from streamcam.models.base import SeparateScores

_Gradients = list[torch.Tensor | None]
"""Gradient with respect to each kept layer's output; None where none reaches it."""


def differentiate_objects(
    network: HookedNetwork, forward_pass: ForwardPass, objectives: Sequence[Objective]
) -> None:
    """Differentiate objectives that add up objects' scores, and note the gradients in the forward pass.

    One backward pass goes through the head for all of them. They are those of one pass for each objective.
    Nothing is noted where the network's objects share their features, or that would be slower.

    Args:
        network: The network that was run; its layers are levels of a pyramid.
        forward_pass: The result.
        objectives: Objectives on the network's device; those that name no objects are left out.
    """
    known = [each.objective for each in forward_pass.gradients if each.criterion is None]
    of_objects = [
        objective
        for objective in objectives
        if objective.objects is not None
        and objective.function is None
        and not any(objective.is_same(each) for each in known)
    ]
    output, layers = forward_pass.output, forward_pass.layer_outputs
    if output.separate_scores is None or not of_objects:
        return
    totals: list[_Gradients] = [[None] * len(layers) for _ in of_objects]
    for row, separate in enumerate(output.separate_scores):
        groups = [each.objects[row] for each in of_objects if each.objects is not None]
        asked = sorted({index for group in groups for index in group})
        if not asked:
            continue
        with network.precision(output.scores.device.type), torch.enable_grad():
            parts = separate(asked, sum(map(bool, groups)))
        if parts is None:
            return
        for part in parts:
            _add_part(part, row, asked, of_objects, forward_pass, totals)
    forward_pass.gradients.extend(
        KnownGradients(objective, None, values) for objective, values in zip(of_objects, totals, strict=True)
    )


def _add_part(
    part: SeparateScores,
    row: int,
    asked: Sequence[int],
    objectives: Sequence[Objective],
    forward_pass: ForwardPass,
    totals: Sequence[_Gradients],
) -> None:
    """Add the gradients of some objects of an image to those of the objectives that count them."""
    assert forward_pass.output.instances is not None
    if not all(values.requires_grad for values in part.features):  # of a level that is not explained
        return
    indices = [asked[member] for member in part.members]
    classes = [forward_pass.output.instances[row][index].class_index for index in indices]
    own_class = part.scores[range(len(classes)), classes]
    places = {index: place for place, index in enumerate(indices)}
    for against in {objective.against for objective in objectives}:
        value = own_class.sum() if against is None else (own_class - part.scores[:, against]).sum()
        at_features = torch.autograd.grad(value, part.features, retain_graph=True)
        for objective, total in zip(objectives, totals, strict=True):
            assert objective.objects is not None
            counted = [places[index] for index in objective.objects[row] if index in places]
            if objective.against != against or not counted:
                continue
            gradients = torch.autograd.grad(
                [part.features[place] for place in counted],
                forward_pass.layer_outputs,
                [at_features[place] for place in counted],
                retain_graph=True,
                allow_unused=True,
            )
            for number, gradient in enumerate(gradients):
                known = total[number]
                total[number] = known if gradient is None else gradient if known is None else known + gradient
