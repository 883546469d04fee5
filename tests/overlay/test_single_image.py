"""One image with its explanation drawn on it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import torch
from PIL import Image

from streamcam import OverlaySettings
from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.explanations import Explanation, Instance, Prediction
from streamcam.frames import Frame, Region
from streamcam.media.images import image_from_rgb
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.overlay import Overlay
from streamcam.overlay.colormaps import lookup_table
from streamcam.temporal import Stabilizer, TemporalSettings

CAT = Prediction(3, "cat <small>", 0.75)
DOG = Prediction(5, "dog", 0.25)
GRAY = np.full((96, 128, 3), 100, np.uint8)
BARE = OverlaySettings(labels=False)


def explanation_of(heatmap: np.ndarray, **changes: object) -> Explanation:
    explanation = Explanation(
        frame_index=0,
        heatmaps={3: heatmap.astype(np.float32)},
        targets=(CAT,),
        predictions=(CAT, DOG),
        method="gradcam",
        target_layer="layer4",
        region=Region(),
    )
    return dataclasses.replace(explanation, **changes)


@pytest.mark.parametrize(
    ("blend", "strength", "weight", "index"),
    [("ramp", 0.0, 0, 0), ("ramp", 7.0, 0.45, 255), ("even", 0.0, 0.45, 0), ("even", 7.0, 0.45, 255)],
)
def test_heat_is_mixed_into_the_image(blend: str, strength: float, weight: float, index: int) -> None:
    settings = OverlaySettings(labels=False, blend=blend)
    drawn = explanation_of(np.full((3, 4), strength)).draw(GRAY, settings)
    expected = (1 - weight) * 100 + weight * lookup_table("turbo")[index]
    assert (drawn.dtype, drawn.shape) == (np.uint8, (96, 128, 3))
    assert np.abs(drawn.astype(float) - expected).max() <= 3  # through YUV and back
    assert (GRAY == 100).all()


def test_heat_is_scaled_to_its_maximum_and_lies_where_the_map_is_strong() -> None:
    heatmap = np.zeros((3, 4))
    heatmap[0, 3] = 20
    drawn = explanation_of(heatmap).draw(GRAY, BARE)
    strongest = 0.55 * 100 + 0.45 * lookup_table("turbo")[255]
    assert np.abs(drawn[8, 120] - strongest).max() <= 6
    assert np.abs(drawn[80, 16] - 100.0).max() <= 2


def test_all_kinds_of_images_give_the_same(tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (97, 131, 3), dtype=np.uint8)
    Image.fromarray(rgb).save(tmp_path / "image.png")
    explanation = explanation_of(np.arange(12).reshape(3, 4))
    expected = explanation.draw(rgb)
    assert expected.shape == rgb.shape
    tensor = torch.from_numpy(rgb).permute(2, 0, 1)
    for image in (
        Image.fromarray(rgb),
        tensor,
        tensor / 255,
        tmp_path / "image.png",
        str(tmp_path / "image.png"),
    ):
        np.testing.assert_array_equal(explanation.draw(image), expected)


def test_what_explain_reads_is_drawn_on(tmp_path: Path) -> None:
    """HEIC, transparency and 16 bits, as a file and in memory."""
    explanation = explanation_of(np.zeros((3, 4)))
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (200, 60, 60))).save(tmp_path / "photo.heic")
    clear = Image.new("RGBA", (64, 48), (0, 0, 0, 0))
    deep = Image.fromarray(np.repeat(np.arange(48, dtype=np.uint16)[:, None] * 60, 64, 1))
    clear.save(tmp_path / "clear.png")
    deep.save(tmp_path / "deep.png")
    drawn = explanation.draw(tmp_path / "photo.heic", BARE)
    np.testing.assert_allclose(drawn[20, 20], (200, 60, 60), atol=4)
    for image in (clear, tmp_path / "clear.png"):
        assert explanation.draw(image, BARE).min() == 255
    for image in (deep, tmp_path / "deep.png"):
        ramp = explanation.draw(image, BARE)[:, 20, 0]
        np.testing.assert_allclose(ramp, np.arange(48) * 255 / 47, atol=2)


def test_labels_and_boxes_are_drawn_unless_turned_off() -> None:
    box = Instance(3, "cat", 0.9, (0.25, 0.25, 0.75, 0.75))
    explanation = explanation_of(np.zeros((3, 4)), instances=(box,))
    bare = explanation.draw(GRAY, OverlaySettings(labels=False, boxes=False))
    boxed = explanation.draw(GRAY, OverlaySettings(labels=False))
    labeled = explanation.draw(GRAY, OverlaySettings(boxes=False))
    assert (boxed != bare)[20:76, 30:98].any()
    assert (labeled != bare).any()
    assert (labeled != boxed).any()


def test_signed_maps_keep_evidence_against_the_class() -> None:
    heatmap = np.zeros((3, 4))
    heatmap[0, 0], heatmap[2, 3] = 4, -4
    drawn = explanation_of(heatmap, signed=True).draw(GRAY, BARE).astype(int)
    assert drawn[8, 8, 0] > drawn[8, 8, 2]
    assert drawn[88, 120, 2] > drawn[88, 120, 0]


@pytest.mark.parametrize(
    ("image", "error", "message"),
    [
        (np.zeros((4, 4), np.uint8), InvalidArgumentError, r"array uint8 \(4, 4\) is not an image; pass"),
        (np.zeros((4, 4, 3)), InvalidArgumentError, r"array float64 \(4, 4, 3\)"),
        (7, InvalidArgumentError, "an int is not an image"),
        ("missing.png", SourceNotFoundError, "no file 'missing.png'; check the path"),
        (__file__, SourceError, "is not a video that FFmpeg can read"),
    ],
)
def test_what_is_not_an_image(image: object, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        explanation_of(np.zeros((3, 4))).draw(image)


def test_an_unknown_color_map() -> None:
    with pytest.raises(InvalidArgumentError, match="jett"):
        explanation_of(np.zeros((3, 4))).draw(GRAY, OverlaySettings(colormap="jett"))


def test_a_notebook_shows_heatmaps_and_predictions() -> None:
    shown = explanation_of(np.arange(12).reshape(3, 4))._repr_html_()
    assert shown.count("data:image/png;base64,") == 1
    assert "cat &lt;small&gt;" in shown
    assert "75.0%" in shown
    assert "gradcam at layer4" in shown


def test_a_skipped_frame_is_shown_without_heat() -> None:
    skipped = Explanation(0, {}, (), (), "", "", Region())
    assert "img" not in skipped._repr_html_()
    assert skipped.draw(GRAY).shape == GRAY.shape


@pytest.mark.parametrize("signed", [False, True])
def test_the_drawing_is_that_of_the_first_frame_of_a_render(signed: bool) -> None:
    """Each class at its own full strength, whatever the strength of the others."""
    weak, strong = (
        np.array([[0, 1], [2, 0]], np.float32),
        np.array([[0, 900], [0, -300 * signed]], np.float32),
    )
    heatmaps = {3: strong} if signed else {3: weak, 5: strong}
    targets = (CAT,) if signed else (CAT, DOG)
    explanation = explanation_of(weak, heatmaps=heatmaps, targets=targets, signed=signed)
    image = Resampler().to_planar(image_from_rgb(GRAY), "yuv444p")
    frame = Frame(image, 0, 0, Fraction(1), 0.0)
    (stabilized,) = Stabilizer(TemporalSettings(mode="none")).push(frame, explanation)
    rendered = Overlay().draw(stabilized)
    expected = Resampler().to_rgb(rendered, 128, 96, interpolation=FAITHFUL)
    assert np.abs(explanation.draw(GRAY).astype(int) - expected).max() <= 1
