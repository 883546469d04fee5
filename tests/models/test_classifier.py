"""Reading what networks return, and finding classes by what users call them."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import pytest
import torch
from torch import nn

from streamcam.errors import ModelError, UnknownNameError
from streamcam.models import Classifier, InputSpec
from streamcam.models.labels import imagenet_labels

LABELS = ("tabby, cat", "Persian cat", "dog", "Dogue", "cot")
LOGITS = torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0]])


def classifier(**settings: Any) -> Classifier:
    labels = settings.pop("labels", LABELS)
    return Classifier("toy", nn.Identity(), labels, InputSpec(), "none", **settings)


FOUND = [
    (3, 3),
    ("3", 3),
    (" 0 ", 0),
    ("dog", 2),  # the whole label, though others contain it
    ("DOG", 2),
    ("  Dog\n", 2),
    ("persian", 1),
    ("tabby", 0),
    ("gue", 3),
]


@pytest.mark.parametrize(("wanted", "index"), FOUND)
def test_a_class_is_found(wanted: int | str, index: int) -> None:
    assert classifier().class_index(wanted) == index


def test_a_label_that_is_a_number_is_found_by_its_text() -> None:
    ratings = classifier(labels=("1", "2", "3"))
    assert [ratings.class_index(name) for name in ("1", " 3", "0", 1)] == [0, 2, 0, 1]


NOT_FOUND = [
    (5, "unknown class 5: toy has the classes 0 to 4"),
    ("5", "unknown class 5"),
    (-1, "unknown class -1"),
    ("-1", "unknown class -1"),
    ("cat", r"'cat' is ambiguous: it could be tabby, cat \(0\), Persian cat \(1\); give the whole name"),
    ("dgo", r"unknown class 'dgo'; the nearest are: dog \(2\)"),
    ("cit", r"the nearest are: cot \(4\)"),
    ("zzz", "unknown class 'zzz'; no label of toy resembles it"),
    ("", "unknown class ''; no label"),
]


@pytest.mark.parametrize(("wanted", "says"), NOT_FOUND)
def test_a_class_is_not_found(wanted: int | str, says: str) -> None:
    with pytest.raises(UnknownNameError, match=says):
        classifier().class_index(wanted)


def test_a_long_list_of_candidates_is_cut() -> None:
    with pytest.raises(UnknownNameError, match=r"great white shark \(2\).* and \d+ more"):
        classifier(labels=imagenet_labels()).class_index("a")


@dataclasses.dataclass
class Answer:
    """As Hugging Face's networks give it."""

    scores: torch.Tensor


Fields = collections.namedtuple("Fields", ["features", "logits"])

ANSWERS = [
    (LOGITS, None),
    (Fields(torch.zeros(1), LOGITS), "logits"),
    (Fields(torch.zeros(1), LOGITS), "1"),
    ((LOGITS, torch.zeros(1)), None),
    ([LOGITS], None),
    ((torch.zeros(1), LOGITS), 1),
    ((torch.zeros(1), LOGITS), "1"),
    ((torch.zeros(1), LOGITS), -1),
    ({"logits": LOGITS, "loss": None}, "logits"),
    (collections.OrderedDict(scores=LOGITS), "scores"),
    (Answer(LOGITS), "scores"),
]


@pytest.mark.parametrize(("answer", "key"), ANSWERS)
def test_logits_are_found(answer: object, key: str | int | None) -> None:
    assert classifier(logits_key=key).read(answer).scores is LOGITS


NO_ANSWERS = [
    ({"out": LOGITS}, None, r"returns a dict \(out\); say where the logits are with `logits_key`: out"),
    ({"out": LOGITS}, "logits", "no entry 'logits'; check `logits_key`"),
    ((LOGITS,), 3, "no entry 3"),
    ((LOGITS,), "logits", "no entry 'logits'"),
    (Answer(LOGITS), "logits", "no entry 'logits'"),
    (torch.zeros(1, 5, 2, 2), None, r"returns planes \(1, 5, 2, 2\), as segmenters do"),
    ((), None, "returns a tuple, and none of it is logits"),
    (None, None, "returns nothing, and none of it"),
]


@pytest.mark.parametrize(("answer", "key", "says"), NO_ANSWERS)
def test_logits_that_are_elsewhere_are_said_to_be(answer: object, key: str | int | None, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        classifier(logits_key=key).read(answer)


def test_a_single_logit_becomes_two_classes() -> None:
    binary = classifier(labels=("no", "yes"), activation="sigmoid")
    logits = binary.read(torch.tensor([[2.0], [0.0]])).scores
    assert logits.tolist() == [[-2.0, 2.0], [0.0, 0.0]]
    torch.testing.assert_close(
        binary.probabilities(logits), torch.tensor([[0.11920292, 0.88079708], [0.5, 0.5]])
    )


@pytest.mark.parametrize(
    ("activation", "answer", "expected"),
    [
        ("softmax", 2.0, [0.11920292, 0.88079708]),  # softmax of a logit and its negative gave 0.98
        ("sigmoid", 2.0, [0.11920292, 0.88079708]),
        ("none", 0.7, [0.3, 0.7]),
    ],
)
def test_a_single_output_has_the_same_probability_with_every_activation(
    activation: Any, answer: float, expected: list[float]
) -> None:
    binary = classifier(labels=("no", "yes"), activation=activation)
    scores = binary.read(torch.tensor([[answer]])).scores
    torch.testing.assert_close(binary.probabilities(scores), torch.tensor([expected]))


def test_probabilities_are_taken_as_they_are() -> None:
    answer = LOGITS.softmax(dim=1)
    adapted, note = classifier().adapt(answer)
    assert (adapted.activation, note) == ("none", "toy returns probabilities: they are taken as they are")
    torch.testing.assert_close(adapted.probabilities(adapted.read(answer).scores), answer, rtol=0, atol=0)


@pytest.mark.parametrize("order", [1, -1])
def test_logits_beside_their_probabilities_are_preferred(order: int) -> None:
    answer = (LOGITS.softmax(dim=1), LOGITS)[::order]
    adapted, _ = classifier().adapt(answer)
    assert (adapted.activation, adapted.read(answer).scores is LOGITS) == ("softmax", True)


def test_logits_are_not_taken_for_probabilities() -> None:
    for answer in (LOGITS, torch.zeros(1, 5), torch.full((2, 5), 0.3), torch.tensor([[1.5, -0.5]])):
        assert classifier().adapt(answer)[1] is None


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_numbers_from_0_to_1_may_be_probabilities_of_several_labels(activation: Any) -> None:
    answer = torch.tensor([[0.9, 0.8, 0.1]])
    adapted, note = classifier(activation=activation).adapt(answer)
    assert adapted.activation == activation
    assert note is not None
    assert note.endswith("if they are probabilities already, use `activation='none'`")
    assert classifier(activation="none").adapt(answer)[1] is None


def test_a_number_that_is_said_to_be_a_value_needs_no_note() -> None:
    answer, value = torch.tensor([[2.0]]), classifier(labels=("value",), activation="value")
    assert value.adapt(answer)[1] is None


def test_softmax_shares_out_and_sigmoid_does_not() -> None:
    logits = torch.tensor([[0.0, 0.0]])
    assert classifier().probabilities(logits).tolist() == [[0.5, 0.5]]
    logits = torch.tensor([[0.0, 100.0]])
    assert classifier(activation="sigmoid").probabilities(logits).tolist() == [[0.5, 1.0]]


BAD_SPECS = [
    ({"mean": (0.5, 0.5)}, "three values each"),
    ({"mean": (0.5,)}, "three values each .* not 1 and 3"),
    ({"mean": (123.7, 116.3, 103.5)}, "divide those of 0 to 255 by 255"),
    ({"std": (58.4, 57.1, 57.4)}, "divide those of 0 to 255 by 255"),
    ({"std": (0.2, 0.0, 0.2)}, "above 0"),
]


@pytest.mark.parametrize(("settings", "says"), BAD_SPECS)
def test_an_input_that_cannot_be_is_refused(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        InputSpec(**settings)


def test_normalising_subtracts_and_divides_channel_by_channel() -> None:
    pixels = torch.tensor([255, 0, 51], dtype=torch.uint8).view(1, 3, 1, 1)
    spec = InputSpec(1, 1, mean=(0.0, 0.5, 0.2), std=(1.0, 0.25, 0.5))
    torch.testing.assert_close(spec.normalize(pixels).flatten(), torch.tensor([1.0, -2.0, 0.0]))


def test_normalising_for_a_gray_network_takes_the_luma() -> None:
    pixels = torch.tensor([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255]], dtype=torch.uint8)
    spec = InputSpec(1, 1, mean=(0.0,), std=(1.0,))
    gray = spec.normalize(pixels.view(4, 3, 1, 1))
    assert gray.shape == (4, 1, 1, 1)
    torch.testing.assert_close(gray.flatten(), torch.tensor([0.299, 0.587, 0.114, 1.0]))


def test_normalising_leaves_the_pixels_alone() -> None:
    pixels = torch.full((1, 3, 2, 2), 7, dtype=torch.uint8)
    InputSpec().normalize(pixels)
    assert pixels.unique().tolist() == [7]
