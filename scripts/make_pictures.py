"""Make the pictures of the README from the sample clip, with streamcam itself.

python scripts/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamcam import Explainer, Overlay, stream
from streamcam.pictures import Resampler
from streamcam.temporal import Steadier, steady

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "media" / "sample.mp4"
OVERLAY = ROOT / "media" / "overlay.jpg"

SHOWN_AT_S = (1.6, 4.8, 8.6)
"""One moment of each shot: the cat, the cup, the tripod."""


def overlaid_frames() -> list[NDArray[np.uint8]]:
    """Render the clip and keep the frames to show, RGB, uint8 (H, W, 3)."""
    overlay, resampler = Overlay(), Resampler()
    kept, wanted = [], list(SHOWN_AT_S)
    for steadied in steady(stream(SAMPLE, Explainer()), Steadier()):
        picture = overlay.draw(steadied)
        if wanted and steadied.frame.time_s >= wanted[0]:
            wanted.pop(0)
            kept.append(resampler.to_rgb(picture, picture.width, picture.height))
    return kept


def main() -> None:
    """Write the pictures."""
    row = np.hstack(overlaid_frames())
    Image.fromarray(row).resize((row.shape[1] * 5 // 8, row.shape[0] * 5 // 8)).save(OVERLAY, quality=88)
    print(f"wrote {OVERLAY.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
