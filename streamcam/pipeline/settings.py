"""Settings of renders."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from streamcam.localization import LocalizationSettings
from streamcam.media.encoders import EncoderSettings
from streamcam.overlay import OverlaySettings
from streamcam.sources import SourceSettings
from streamcam.temporal import TemporalSettings


@dataclasses.dataclass(frozen=True, slots=True)
class RenderSettings:
    """How a file is rendered."""

    source: SourceSettings = dataclasses.field(default_factory=SourceSettings)
    """How the input is read."""
    temporal: TemporalSettings = dataclasses.field(default_factory=TemporalSettings)
    """Which frames are explained, and how maps and labels are smoothed in time."""
    overlay: OverlaySettings = dataclasses.field(default_factory=OverlaySettings)
    """How heat and labels look."""
    localization: LocalizationSettings = dataclasses.field(default_factory=LocalizationSettings)
    """Boxes and points to look for in the displayed heat; they are drawn, and written to the sidecar."""
    encoder: EncoderSettings = dataclasses.field(default_factory=EncoderSettings)
    """How a video is encoded."""
    sidecar: str | Path | None = None
    """A file for the raw maps, JSON lines; None for none."""
    evidence: str | Path | None = None
    """A file for all that the network answers, read by `streamcam.open_evidence`; None for none."""
    command: str | None = None
    """The command line that asks for the render, kept in the evidence; None if there is none."""
    annotations: tuple[str | Path, ...] = ()
    """Files for the objects of every frame, or the boxes around their heat: ``boxes.json`` in COCO's format,
    ``boxes.xml`` in CVAT's, ``labels/%05d.txt`` in YOLO's."""
    masks: str | Path | None = None
    """A folder for a PNG mask of every frame, or a lossless video (``masks.mkv``); None for none."""
    overwrite: bool = False
    """Whether existing files may be replaced."""
    resume: bool = False
    """Whether finished parts are kept in a folder beside the output, and used by the next run. A render that
    is stopped or fails then leaves the folder and no output."""

    @property
    def locations(self) -> tuple[tuple[str, Path], ...]:
        """The files beside the main output: the name of each setting, and the file or folder.

        Evidence is the last to be finished: it holds the notes of the others.
        """
        single = [("sidecar", self.sidecar), ("masks", self.masks), ("evidence", self.evidence)]
        beside = [*(("annotations", each) for each in self.annotations), *single]
        return tuple((name, Path(location)) for name, location in beside if location is not None)

    def of_images(self) -> dict[str, Any]:
        """Return the settings that decide how the images of the output look, by name."""
        return {
            "overlay": self.overlay,
            "localization": self.localization,
            "temporal": self.temporal,
            "source": self.source,
            "encoder": self.encoder,
        }
