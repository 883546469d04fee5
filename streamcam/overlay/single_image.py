"""A single explained image: its explanation drawn onto it, or shown in a notebook."""

from __future__ import annotations

import dataclasses
import html

import cv2
import numpy as np

from streamcam.explanations import Explanation, Prediction, StabilizedFrame, is_value_alone
from streamcam.frames import FloatArray, Frame
from streamcam.media.images import PLANAR_FORMATS, ByteArray
from streamcam.media.png import png_url
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.overlay.colormaps import lookup_table
from streamcam.overlay.label_panel import format_score
from streamcam.overlay.overlay import Overlay
from streamcam.overlay.settings import OverlaySettings

_FORMAT = "yuv444p"
_NOTEBOOK_WIDTH = 240  # pixels


def draw_explanation(
    explanation: Explanation, frame: Frame, settings: OverlaySettings | None = None
) -> ByteArray:
    """Draw heat, labels and boxes onto the image that was explained, as a render does for a frame.

    Each class's heat is scaled to its own maximum, as on the first frame of a video.

    Args:
        explanation: The image's explanation.
        frame: The image, in RGB or planar YUV.
        settings: What to draw; the defaults if None.

    Returns:
        RGB, uint8 (H, W, 3); the frame is not changed.

    Raises:
        InvalidArgumentError: if a setting cannot be used.
    """
    resampler = Resampler()
    image = frame.image
    if image.format.name not in PLANAR_FORMATS:
        image = resampler.to_planar(image, _FORMAT)
    frame = dataclasses.replace(frame, image=image, index=explanation.frame_index)
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
        f'<img src="{png_url(_paint(heat))}">'
        f"<figcaption>{html.escape(target.label)}</figcaption></figure>"
        for target, heat in zip(explanation.targets, _scale(explanation).values(), strict=True)
    ]
    rows = [
        f"<tr><td>{html.escape(prediction.label)}</td><td>{_score_text(prediction)}</td></tr>"
        for prediction in explanation.predictions
    ]
    place = f" at {explanation.target_layer}" if explanation.target_layer else ""
    title = html.escape(f"{explanation.method}{place}")
    return f"<div><p>{title}</p>{''.join(figures)}<table>{''.join(rows)}</table></div>"


def _score_text(prediction: Prediction) -> str:
    if prediction.value is None:
        return f"{prediction.probability:.1%}"
    return format_score(None if is_value_alone(prediction) else prediction.probability, prediction.value)


def _scale(explanation: Explanation) -> dict[int, FloatArray]:
    """Scale each map of an explanation to its own maximum, 0 to 1, or -1 to 1 if signed."""
    lowest = -1 if explanation.signed else 0
    heatmaps = {}
    for index, heatmap in explanation.heatmaps.items():
        finite = np.nan_to_num(heatmap, posinf=0, neginf=0)
        peak = np.float32(float(np.abs(finite).max()) or 1.0)
        heatmaps[index] = (finite / peak).clip(lowest, 1)
    return heatmaps


def show_as_html(frame: Frame, explanation: Explanation) -> str:
    """Show a frame with its heat and labels, as a notebook displays it."""
    url = png_url(draw_explanation(explanation, frame))
    return (
        f'<figure style="margin: 0"><img src="{url}" style="max-width: 100%">'
        f"<figcaption>frame {frame.index}, {frame.time_s:.2f} s</figcaption></figure>"
    )


def _paint(heat: FloatArray) -> ByteArray:
    """Paint a heatmap in the default color map; evidence against a class has no heat."""
    height = round(_NOTEBOOK_WIDTH * heat.shape[0] / heat.shape[1])
    enlarged = cv2.resize(heat, (_NOTEBOOK_WIDTH, max(height, 1)), interpolation=cv2.INTER_LINEAR)
    indices = np.rint(enlarged.clip(0, 1) * 255).astype(np.uint8)
    painted: ByteArray = lookup_table(OverlaySettings().colormap)[indices]
    return painted
