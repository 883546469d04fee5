"""What is compared, and how the panes lie."""

from __future__ import annotations

import pytest

from streamcam.errors import InvalidArgumentError
from streamcam.panes import COMPARED_METHODS, Comparison, Pane, PaneGrid


def test_the_usual_methods_are_compared_where_nothing_else_is() -> None:
    comparison = Comparison()
    assert comparison.grid() == PaneGrid(4)
    assert [pane.method for pane in comparison.panes()] == list(COMPARED_METHODS)
    assert [pane.method for pane in Comparison(classes=("cat",)).panes()] == list(COMPARED_METHODS)


def test_two_things_make_rows_and_columns() -> None:
    comparison = Comparison(methods=("gradcam", "eigencam"), layers=("layer2", "layer3", "layer4"))
    assert comparison.grid() == PaneGrid(6, columns=3)
    panes = comparison.panes()
    assert [(pane.method, pane.layer) for pane in panes[2:4]] == [
        ("gradcam", "layer4"),
        ("eigencam", "layer2"),
    ]
    assert panes[3].named("", "layer2") == "eigencam · layer2"


def test_a_single_value_holds_for_every_pane() -> None:
    comparison = Comparison(methods=("hirescam",), classes=("cat", 7))
    assert comparison.grid() == PaneGrid(2)
    assert comparison.panes() == [
        Pane("{target}", class_request="cat", method="hirescam"),
        Pane("{target}", class_request=7, method="hirescam"),
    ]


def test_ranks_and_stages_are_panes_of_their_own() -> None:
    ranks = Comparison(classes=("top3",)).panes()
    assert [pane.rank for pane in ranks] == [0, 1, 2]
    assert ranks[1].named("tabby", "layer4") == "top 2 · tabby"
    stages = Comparison(layers=("auto:2", "layer3")).panes()
    assert [(pane.stage, pane.layer) for pane in stages] == [((0, 2), None), ((1, 2), None), (None, "layer3")]
    assert stages[0].named("tabby", "layer1") == "layer1"


def test_networks_alone_list_their_own_labels() -> None:
    assert Comparison(models=("resnet18", "resnet50")).grid() == PaneGrid(2, lists_labels=True)
    table = Comparison(models=("resnet18", "resnet50"), methods=("gradcam", "eigencam")).grid()
    assert table == PaneGrid(4, columns=2)


@pytest.mark.parametrize(
    ("comparison", "message"),
    [
        (Comparison(methods=("gradcam", "gradcam")), "`methods` has 'gradcam' twice"),
        (
            Comparison(methods=("a", "b"), layers=("c", "d"), modes=("e", "f")),
            "`methods`, `layers` and `modes` are more than rows and columns",
        ),
        (Comparison(classes=("top65",)), "more than 64 panes cannot be distinguished"),
        (Comparison(classes=("top9",), layers=("auto:9",)), "more than 64 panes cannot be distinguished"),
        (Comparison(classes=("top99999999999",)), "more than 64 panes cannot be distinguished"),
        (Comparison(classes=("top0",)), "'top0' asks for no classes"),
        (Comparison(classes=("instances",)), "'instances' cannot be compared"),
        (Comparison(layers=("auto:1",)), "layers 'auto:1' are none"),
        (Comparison(layers=("auto:some",)), "layers 'auto:some' are none"),
    ],
)
def test_what_cannot_be_compared_is_refused(comparison: Comparison, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        comparison.panes()


def test_panes_have_names_for_files() -> None:
    methods = Comparison(methods=("gradcam", "gradcam++", "occlusion:patch=32,stride=16"))
    assert methods.file_names() == ["gradcam", "gradcam++", "occlusion-patch-32-stride-16"]
    assert Comparison(layers=("auto:2", "layer4")).file_names() == ["layer1", "layer2", "layer4"]
    assert Comparison(classes=("top2",)).file_names() == ["top-1", "top-2"]
    assert Comparison(classes=("../a b", ".. a-b", 5)).file_names() == ["a-b", "a-b-2", "5"]
    assert Comparison(methods=("a", "b"), modes=("none", "flow")).file_names()[1] == "a-flow"
