"""A single explained image: its explanation drawn onto it, or shown in a notebook."""

from __future__ import annotations

import base64
import html
import io
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError, map_errors
from streamcam.explanations import Explanation, Prediction, StabilizedFrame
from streamcam.frames import FloatArray, Frame
from streamcam.media.images import ByteArray, image_from_rgb, rgb_array
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.label_panel import format_value
from streamcam.overlay.overlay import Overlay
from streamcam.overlay.settings import OverlaySettings

_FORMAT = "yuv444p"
_NOTEBOOK_WIDTH = 240  # pixels


def draw_explanation(
    explanation: Explanation, image: Any, settings: OverlaySettings | None = None
) -> ByteArray:
    """Draw heat, labels and boxes onto the image that was explained, as a render does for a frame.

    Each class's heat is scaled to its own maximum, as on the first frame of a video.

    Args:
        explanation: The image's explanation.
        image: The image: RGB, uint8 (H, W, 3); a PIL image; or the path of an image file.
        settings: What to draw; the defaults if None.

    Returns:
        RGB, uint8 (H, W, 3); the image itself is not changed.

    Raises:
        InvalidArgumentError: if it is no image, or a setting cannot be used.
        SourceError: if the file cannot be read.
    """
    rgb, resampler = _read_rgb(image), Resampler()
    planar = resampler.to_planar(image_from_rgb(rgb), _FORMAT)
    frame = Frame(planar, explanation.frame_index, 0, Fraction(1), time.monotonic())
    stabilized = StabilizedFrame(
        frame,
        _scale(explanation),
        explanation.targets,
        explanation.smoothed_predictions or explanation.predictions,
        explanation,
        explanation.instances,
    )
    drawn = Overlay(settings).draw(stabilized)
    return resampler.to_rgb(drawn, drawn.width, drawn.height, interpolation=FAITHFUL)


def describe_as_html(explanation: Explanation) -> str:
    """Show the heatmaps of an explanation beside its predictions, as a notebook displays them."""
    figures = [
        f'<figure style="display: inline-block; margin: 0 1em 0 0">'
        f'<img src="data:image/png;base64,{base64.b64encode(_encode_png(heat)).decode()}">'
        f"<figcaption>{html.escape(target.label)}</figcaption></figure>"
        for target, heat in zip(explanation.targets, _scale(explanation).values(), strict=True)
    ]
    rows = [
        f"<tr><td>{html.escape(prediction.label)}</td><td>{_score_text(prediction)}</td></tr>"
        for prediction in explanation.predictions
    ]
    title = f"{html.escape(explanation.method)} at {html.escape(explanation.target_layer)}"
    return f"<div><p>{title}</p>{''.join(figures)}<table>{''.join(rows)}</table></div>"


def _score_text(prediction: Prediction) -> str:
    return f"{prediction.probability:.1%}" if prediction.value is None else format_value(prediction.value)


def _scale(explanation: Explanation) -> dict[int, FloatArray]:
    """Scale each map of an explanation to its own maximum, 0 to 1, or -1 to 1 if signed."""
    lowest = -1 if explanation.signed else 0
    heatmaps = {}
    for index, heatmap in explanation.heatmaps.items():
        finite = np.nan_to_num(heatmap, posinf=0, neginf=0)
        peak = np.float32(float(np.abs(finite).max()) or 1.0)
        heatmaps[index] = (finite / peak).clip(lowest, 1)
    return heatmaps


def _encode_png(heat: FloatArray) -> bytes:
    """Encode a heatmap as a PNG image in the default color map; evidence against a class has no heat."""
    import PIL.Image

    height = round(_NOTEBOOK_WIDTH * heat.shape[0] / heat.shape[1])
    enlarged = cv2.resize(heat, (_NOTEBOOK_WIDTH, max(height, 1)), interpolation=cv2.INTER_LINEAR)
    indices = np.rint(enlarged.clip(0, 1) * 255).astype(np.uint8)
    encoded = io.BytesIO()
    PIL.Image.fromarray(lookup_table(OverlaySettings().colormap)[indices]).save(encoded, "png")
    return encoded.getvalue()


def _read_rgb(image: Any) -> ByteArray:
    if isinstance(image, str | Path):
        return _load_rgb(Path(image))
    array = rgb_array(image)
    if array is not None:
        return array
    given = f"array {image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
    raise InvalidArgumentError(
        f"cannot draw on this {given}; pass an RGB array, uint8 (H, W, 3), a PIL image or a path"
    )


def _load_rgb(path: Path) -> ByteArray:
    import PIL.Image
    import PIL.ImageOps

    if not path.is_file():
        raise SourceNotFoundError(f"no file {str(path)!r}; check the path")
    with map_errors(
        OSError, ValueError, to=lambda error: SourceError(f"cannot read {str(path)!r} as an image: {error}")
    ):
        return np.asarray(PIL.ImageOps.exif_transpose(PIL.Image.open(path)).convert("RGB"))
