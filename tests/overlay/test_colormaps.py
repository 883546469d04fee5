"""The table of color maps."""

from __future__ import annotations

import numpy as np
import pytest

from streamcam.errors import UnknownNameError
from streamcam.overlay.colormaps import COLORMAPS, lookup_table


@pytest.mark.parametrize("name", sorted(COLORMAPS))
def test_every_color_map_has_256_colors(name: str) -> None:
    table = lookup_table(name)
    assert (table.shape, table.dtype) == ((256, 3), np.uint8)
    assert len(np.unique(table, axis=0)) > 64


def test_the_ones_that_papers_use_are_there() -> None:
    assert {"jet", "turbo", "inferno", "viridis", "magma", "plasma", "hot", "bone"} <= set(COLORMAPS)


@pytest.mark.parametrize(
    ("name", "lowest", "highest"),
    [
        ("jet", (0, 0, 128), (128, 0, 0)),
        ("hot", (0, 0, 0), (255, 255, 255)),
        ("autumn", (255, 0, 0), (255, 255, 0)),
        ("inferno", (0, 0, 4), (252, 255, 164)),
        ("viridis", (68, 1, 84), (253, 231, 37)),
    ],
)
def test_colors_are_rgb_from_no_heat_to_most(
    name: str, lowest: tuple[int, ...], highest: tuple[int, ...]
) -> None:
    """As published by Matlab and matplotlib; OpenCV's own order would be BGR."""
    table = lookup_table(name).astype(int)
    assert abs(table[0] - lowest).max() <= 2
    assert abs(table[255] - highest).max() <= 2


@pytest.mark.parametrize(
    ("name", "nearest"), [("JET", "jet"), ("vridis", "viridis"), ("infernal", "inferno")]
)
def test_an_unknown_name_is_answered_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UnknownNameError, match=rf"unknown color map '{name}'.*{nearest}"):
        lookup_table(name)
