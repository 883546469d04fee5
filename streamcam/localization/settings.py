"""Settings of localization."""

from __future__ import annotations

import dataclasses

from streamcam.errors import InvalidArgumentError, unknown_name

LARGEST = "largest"

COMPONENTS: dict[str, str] = {
    LARGEST: "a box around the largest connected area",
    "all": "a box around each, as several objects need",
}
"""Name → which of the connected areas above the threshold get a box."""


@dataclasses.dataclass(frozen=True, slots=True)
class LocalizationSettings:
    """Boxes and points to look for in heatmaps."""

    boxes: bool = False
    """Whether boxes are put around the heat."""
    threshold: float = 0.3
    """Heat of at least this share of the frame's strongest is inside, above 0 and below 1."""
    components: str = LARGEST
    """Which connected areas get a box: a name in `COMPONENTS`."""
    points: int = 0
    """How many of the strongest places to find, for each heatmap."""

    roi: str | None = None
    """The region of interest, whose share of the heat is measured: a box or polygon in pixels
    (``"100,50,300,200"``), the name of a mask picture or of a file of boxes by frame, ``"class:person"`` for
    detected objects, ``"segment"`` for the box around the heat itself, ``"center"`` or ``"motion"``."""

    @property
    def is_on(self) -> bool:
        """Whether anything is looked for."""
        return self.boxes or self.points > 0 or self.roi is not None

    def check(self) -> None:
        """Check every setting.

        Raises:
            InvalidArgumentError: naming the first that cannot be used.
        """
        if not 0 < self.threshold < 1:
            raise InvalidArgumentError(
                f"`threshold` is a share of the strongest heat, above 0 and below 1, not {self.threshold:g}"
            )
        if self.components not in COMPONENTS:
            raise unknown_name("choice of components", self.components, COMPONENTS)
        if self.points < 0:
            raise InvalidArgumentError(f"`points` counts places from 0, not {self.points}")
