"""Corners of an image, in which panels lie."""

from __future__ import annotations

from typing import NamedTuple


class Corner(NamedTuple):
    """One corner of an image."""

    is_right: bool
    is_bottom: bool

    def place(
        self, image: tuple[int, int], panel: tuple[int, int], margin: int, inset: int
    ) -> tuple[int, int]:
        """Return the left and upper edge of a panel in this corner of an image, even.

        Args:
            image: (width, height) of the image in pixels.
            panel: (width, height) of the panel in pixels.
            margin: Distance from the image's edges.
            inset: Number of rows at the lower edge that are kept free.
        """
        right, bottom = image[0] - margin - panel[0], image[1] - inset - margin - panel[1]
        left, top = 2 * (right // 2), 2 * (bottom // 2)
        return (left if self.is_right else margin, top if self.is_bottom else margin)


TOP_LEFT = Corner(is_right=False, is_bottom=False)

LABEL_POSITIONS = {
    "top-left": TOP_LEFT,
    "top-right": Corner(is_right=True, is_bottom=False),
    "bottom-left": Corner(is_right=False, is_bottom=True),
    "bottom-right": Corner(is_right=True, is_bottom=True),
}
"""Name → the corner in which the label panel lies. The legend lies at the other edge, above or below."""
