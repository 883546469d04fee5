"""Small networks of many families, explained untrained, as tools/check_models.py does with all of them."""

from __future__ import annotations

import collections
import dataclasses
from types import ModuleType

import pytest

from streamcam.models.families import FAMILIES
from tests.support.scripts import load_script

TORCHVISION = [
    ("resnet18", "layer4", "12x7"),
    ("squeezenet1_1", "features", "23x13"),
    ("mnasnet0_5", "layers", "12x7"),
    ("mobilenet_v3_small", "features", "12x7"),
    ("shufflenet_v2_x0_5", "conv5", "12x7"),
    ("efficientnet_b0", "features", "12x7"),
    ("regnet_y_400mf", "trunk_output", "12x7"),
    ("convnext_tiny", "features", "12x7"),
]
"""Name, the layer that auto takes, and the grid of the map, columns by rows."""

TIMM = [
    ("timm:test_vit", "blocks.5.norm1", "18x10"),
    ("timm:test_vit2", "blocks.7", "18x10"),
    ("timm:test_vit3", "norm", "10x10"),
    ("timm:test_convnext", "stages", "9x5"),
    ("timm:test_efficientnet", "bn2", "9x5"),
    ("timm:test_mambaout", "stages", "9x5"),
    ("timm:test_byobnet", "stages", "9x5"),
    ("timm:test_nfnet", "final_act", "9x5"),
    ("timm:deit_tiny_distilled_patch16_224", "blocks.11.norm1", "14x14"),
    ("timm:xcit_nano_12_p16_224", "cls_attn_blocks.1.norm1", "24x14"),
    ("timm:levit_128s", "stages", "4x4"),
    ("timm:mobilenetv4_conv_small", "blocks", "12x7"),
    ("timm:pvt_v2_b0", "stages", "12x7"),
    ("timm:resmlp_12_224", "norm", "14x14"),
]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """tools/check_models.py as a module."""
    return load_script("tools/check_models.py")


@pytest.mark.parametrize(("name", "layer", "grid"), TORCHVISION)
def test_torchvision_s_networks_are_explained(script: ModuleType, name: str, layer: str, grid: str) -> None:
    row = script.check(name, script.USUAL_METHODS)
    assert (row.is_fine, row.layer, row.grid, row.error) == (True, layer, grid, "")


@pytest.mark.parametrize(("name", "layer", "grid"), TIMM)
def test_timm_s_networks_are_explained(script: ModuleType, name: str, layer: str, grid: str) -> None:
    pytest.importorskip("timm")
    row = script.check(name, script.USUAL_METHODS)
    assert (row.is_fine, row.layer, row.grid, row.error) == (True, layer, grid, "")


OTHERS = [
    ("hf:BEiT", "beit.layers.2", "24x14"),
    ("hf:TimeSformer", "timesformer.encoder.layer.2.layernorm_before", "14x8"),
    ("hf:SigLIP", "vision_model.post_layernorm", "14x14"),
]


@pytest.mark.parametrize(("name", "layer", "grid"), OTHERS)
def test_other_kinds_of_networks_are_explained(script: ModuleType, name: str, layer: str, grid: str) -> None:
    pytest.importorskip("transformers")
    row = script.check(name, script.USUAL_METHODS)
    assert (row.is_fine, row.layer, row.grid, row.error) == (True, layer, grid, "")


def test_the_script_knows_only_networks_that_there_are_and_some_of_every_family(script: ModuleType) -> None:
    timm = pytest.importorskip("timm")
    assert [name for name in script.TIMM.split() if not timm.is_model(name)] == []
    assert len(script.TIMM.split()) > 100
    names = script.wanted("", "")
    counts = collections.Counter(name.rpartition(":")[0] for name in names)
    assert [counts[family] for family in ("", "detection", "segmentation", "video")] == [82, 12, 6, 9]
    assert {f"{prefix}:" for prefix in counts} >= {row.prefix for row in FAMILIES if row.prefix}
    assert {name.removeprefix("hf:") for name in script.wanted("hf", "")} == script.NETWORKS.keys()
    assert script.wanted("", "timm:beit_") == ["timm:beit_base_patch16_224"]


def test_rows_replace_those_of_their_models_in_the_document(script: ModuleType) -> None:
    document = script.TABLE.read_text("utf-8")
    assert script.with_rows(document, []) == document
    row = script.Row("resnet18", 11_700_000, "full", "layer4", "12x7", True, True, 0.4)
    changed = script.with_rows(document, [row, dataclasses.replace(row, model="a network of one's own")])
    assert "| resnet18 | 11.7 M | full | layer4 | 12x7 | yes | yes | 0.4 | ok |\n| resnet34 |" in changed
    assert changed.splitlines()[-1].startswith("| a network of one's own |")
    assert len(changed.splitlines()) == len(document.splitlines()) + 1


def test_a_network_that_fails_is_a_row_that_says_why(script: ModuleType) -> None:
    row = script.check("no_such_network", script.USUAL_METHODS)
    assert not row.is_fine
    assert row.cells[0] == "no_such_network"
    assert row.cells[-1].startswith("FAILED unknown model 'no_such_network'")
