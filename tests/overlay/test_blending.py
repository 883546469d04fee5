"""Blending in planar YUV, against values worked out by hand and against the same formula in RGB."""

from __future__ import annotations

import itertools

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.frames import FloatArray, Region
from streamcam.media.images import PLANAR_FORMATS, Image, YuvCoding, bits_of, coding_of, planes_of
from streamcam.overlay.blending import BLENDS, colormap_blender
from streamcam.overlay.colormaps import COLORMAPS, lookup_table
from streamcam.overlay.placement import Scratch, Span, upsample_cubic, upsample_linear

WHOLE = Region()
ONES = np.ones((1, 1), np.float32)

EVERY_CODING = list(
    itertools.product([Colorspace.ITU601, Colorspace.ITU709, Colorspace.BT2020], [False, True])
)
CODINGS = list(itertools.product([Colorspace.ITU601, Colorspace.ITU709], [False, True]))


def new_image(
    width: int = 32,
    height: int = 18,
    pixel_format: str = "yuv420p",
    *,
    matrix: Colorspace = Colorspace.ITU601,
    full_range: bool = False,
    values: tuple[int, int, int] = (127, 128, 128),
) -> Image:
    """Make a flat image."""
    image = av.VideoFrame(width, height, pixel_format)
    image.colorspace = matrix
    image.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    for plane, value in zip(planes_of(image), values, strict=True):
        plane[:] = value
    return image


def noisy(*arguments: object, seed: int = 0, **others: object) -> Image:
    """Make an image of random code values."""
    image = new_image(*arguments, **others)  # type: ignore[arg-type]
    random = np.random.default_rng(seed)
    for plane in planes_of(image):
        plane[:] = random.integers(0, 256, plane.shape, np.uint8)
    return image


def copies(image: Image) -> list[NDArray[np.uint8]]:
    return [plane.copy() for plane in planes_of(image)]


def assert_same(planes: list[NDArray[np.uint8]], others: list[NDArray[np.uint8]]) -> None:
    for plane, other in zip(planes, others, strict=True):
        np.testing.assert_array_equal(plane, other)


def rgb_of(image: Image) -> NDArray[np.float64]:
    """Decode a 4:4:4 image, in floating point, by solving for the matrix that encodes."""
    coding = coding_of(image)
    zero = coding.encode_rgb(np.zeros(3)).astype(np.float64)
    matrix = coding.encode_rgb(np.eye(3) * 255).astype(np.float64) - zero
    yuv = np.stack(copies(image), -1).astype(np.float64)
    return (yuv - zero) @ np.linalg.inv(matrix) * 255


# --- values -----------------------------------------------------------------------------------------------

# Y = Kr R + Kg G + Kb B, Cb = (B - Y) / (2 - 2 Kb), Cr = (R - Y) / (2 - 2 Kr), for the color of most heat in
# jet, which is RGB (128, 0, 0); in limited range Y is 16 + 219 / 255 of that, Cb and Cr 224 / 255.
MOST_HEAT = {
    (Colorspace.ITU601, False): (48.87, 109.03, 184.22),
    (Colorspace.ITU601, True): (38.27, 106.40, 192.00),
    (Colorspace.ITU709, False): (39.37, 115.12, 184.22),
    (Colorspace.ITU709, True): (27.21, 113.33, 192.00),
}


@pytest.mark.parametrize(("matrix", "full_range"), CODINGS)
@pytest.mark.parametrize("alpha", [0.25, 0.5, 1.0])
@pytest.mark.parametrize("gray", [16, 127, 235])
def test_flat_gray(matrix: Colorspace, full_range: bool, alpha: float, gray: int) -> None:
    image = new_image(matrix=matrix, full_range=full_range, values=(gray, 128, 128))
    blended = colormap_blender("jet", alpha, "even").blend(image, ONES, WHOLE)
    for plane, before, heat in zip(
        copies(blended), (gray, 128, 128), MOST_HEAT[matrix, full_range], strict=True
    ):
        assert np.ptp(plane) == 0
        assert plane[0, 0] == pytest.approx((1 - alpha) * before + alpha * heat, abs=1)


@pytest.mark.parametrize(("matrix", "full_range"), CODINGS)
@pytest.mark.parametrize("colormap", ["jet", "turbo", "inferno"])
def test_it_is_the_formula_that_holds_in_rgb(matrix: Colorspace, full_range: bool, colormap: str) -> None:
    """``(1 - alpha) * rgb + alpha * color``: it is linear, and so is the way from RGB to YUV."""
    image = new_image(256, 64, "yuv444p", matrix=matrix, full_range=full_range)
    luma, cb, cr = planes_of(image)
    luma[:] = np.linspace(40, 220, 64).astype(np.uint8)[:, None]
    cb[:], cr[:] = 120, 140
    heat = np.linspace(0, 1, 256, dtype=np.float32)[None, :]
    blended = rgb_of(colormap_blender(colormap, 0.45, "even").blend(image, heat, WHOLE))
    colors = lookup_table(colormap)[np.rint(heat[0] * 255).astype(int)]
    expected = 0.55 * rgb_of(image) + 0.45 * colors[None, :, :]
    assert np.abs(blended - expected).max() < TOLERANCE


TOLERANCE = 2.5
"""Measured: 2.3. One rounding of the table (weighted by alpha) and one of the sum, in Y, Cb and Cr each."""


@pytest.mark.parametrize("colormap", COLORMAPS)
def test_every_color_map_weight_range_and_matrix_follows_the_formula(colormap: str) -> None:
    """What is lost is the rounding of the sum, and that of the table times its weight."""
    heat = np.random.default_rng(2).random((4, 6), dtype=np.float32)
    where = np.rint(255 * as_enlarged(heat, 90, 160)).astype(int)
    for (matrix, full_range), alpha in itertools.product(EVERY_CODING, [0.1, 0.45, 0.8, 1.0]):
        image = noisy(160, 90, "yuv444p", matrix=matrix, full_range=full_range)
        colors = YuvCoding(matrix, full_range).encode_rgb(lookup_table(colormap)[where])
        wanted = (1 - alpha) * np.stack(copies(image), -1) + alpha * colors
        blended = np.stack(copies(colormap_blender(colormap, alpha, "even").blend(image, heat, WHOLE)), -1)
        off = np.abs(blended - wanted.clip(0, 255))
        # A value halfway between two colors of the map may fall to either.
        assert np.quantile(off, 0.999) <= 0.5 + 0.5 * alpha + 0.01
        assert off.max() <= 2


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("colormap", ["turbo", "jet", "inferno"])
def test_every_layout_of_samples_follows_the_formula_that_holds_in_rgb(
    pixel_format: str, colormap: str
) -> None:
    """Colors are mixed in RGB, pixel by pixel, and averaged over the pixels that share a chroma sample.

    Here one color is looked up for all of these, which is another where the color map has a kink.
    """
    height, width = 360, 640
    heat = np.random.default_rng(2).random((4, 6), dtype=np.float32)
    where = np.rint(255 * as_enlarged(heat, height, width)).astype(int)
    deeper = 1 << (bits_of(pixel_format) - 8)
    for (matrix, full_range), alpha in itertools.product(CODINGS, [0.45, 1.0]):
        image = noisy(width, height, pixel_format, matrix=matrix, full_range=full_range)
        colors = coding_of(image).encode_rgb(lookup_table(colormap)[where])
        blended = copies(colormap_blender(colormap, alpha, "even").blend(image, heat, WHOLE))
        for channel, (given, found) in enumerate(zip(copies(image), blended, strict=True)):
            rows, columns = given.shape
            shared = colors[..., channel].reshape(rows, height // rows, columns, width // columns)
            wanted = (1 - alpha) * given + alpha * shared.mean((1, 3))
            off = np.abs(found - wanted.clip(0, coding_of(image).highest)) / deeper
            assert np.quantile(off, 0.999) <= 2
            assert off.max() <= 4


def as_enlarged(heat: FloatArray, rows: int, columns: int) -> NDArray[np.float32]:
    return upsample_linear(
        upsample_cubic(heat, (rows, columns)),
        Span(0, rows, rows),
        Span(0, columns, columns),
        Scratch(),
        "test",
    )


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("size", [(32, 18), (33, 19), (1, 1), (2, 2), (3, 1)])
def test_without_weight_the_image_stays_bit_for_bit(pixel_format: str, size: tuple[int, int]) -> None:
    image = noisy(*size, pixel_format)
    heat = np.random.default_rng(1).random((7, 12), np.float32)
    for region in (WHOLE, Region(0.2, 0, 0.8, 1), Region(0, -0.4, 1, 1.4)):
        assert_same(copies(colormap_blender("turbo", 0, "even").blend(image, heat, region)), copies(image))


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_with_full_weight_only_the_heat_is_seen(pixel_format: str) -> None:
    heat = np.random.default_rng(1).random((7, 12), np.float32)
    blender = colormap_blender("turbo", 1, "even")
    one, other = (blender.blend(noisy(33, 19, pixel_format, seed=seed), heat, WHOLE) for seed in (0, 1))
    assert_same(copies(one), copies(other))


def test_where_there_is_no_heat_the_lowest_color_is_blended() -> None:
    blended = colormap_blender("jet", 1, "even").blend(new_image(full_range=True), ONES * 0, WHOLE)
    # RGB (0, 0, 128): Y = 0.114 * 128, Cb = 128 + (128 - Y) / 1.772, Cr = 128 - Y / 1.402
    assert [int(plane[0, 0]) for plane in planes_of(blended)] == [15, 192, 118]


# --- what is left alone -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_the_image_given_stays_as_it_is(pixel_format: str) -> None:
    image = noisy(33, 19, pixel_format, matrix=Colorspace.ITU709, full_range=True)
    image.pts = 77
    before = copies(image)
    blended = colormap_blender("turbo", 0.5, "even").blend(image, ONES, Region(0.25, 0, 0.75, 1))
    assert_same(copies(image), before)
    assert (blended.width, blended.height, blended.format.name) == (33, 19, pixel_format)
    assert (blended.colorspace, blended.color_range, blended.pts) == (
        image.colorspace,
        image.color_range,
        77,
    )


# Regions as a center crop makes them, of landscape, portrait and odd frames.
CROPS = [
    ((64, 36), Region(14 / 64, 0, 50 / 64, 1)),
    ((36, 64), Region(0, 14 / 64, 1, 50 / 64)),
    ((65, 37), Region(14 / 65, 0, 51 / 65, 1)),
    ((61, 37), Region(0.21, 0.03, 0.79, 0.97)),
    ((41, 41), Region(0.0625, 0.0625, 0.9375, 0.9375)),
]


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize(("size", "region"), CROPS)
def test_what_the_network_did_not_see_is_not_tinted(
    pixel_format: str, size: tuple[int, int], region: Region
) -> None:
    """Bit for bit, and no color where brightness stays: the planes agree on where the region ends."""
    image = noisy(*size, pixel_format)
    blended = colormap_blender("turbo", 1, "even").blend(image, ONES, region)
    luma, *chroma = [before != after for before, after in zip(copies(image), copies(blended), strict=True)]
    # Changed are, but for chance, all samples inside; so the hull is the region.
    rows, columns = np.nonzero(luma.any(1))[0], np.nonzero(luma.any(0))[0]
    hull = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    width, height = size
    wanted = np.array(
        [region.left * width, region.top * height, region.right * width, region.bottom * height]
    )
    assert np.abs(hull - wanted).max() <= 1
    for plane in chroma:
        across, down = -(-width // plane.shape[1]), -(-height // plane.shape[0])
        spread = np.repeat(np.repeat(plane, down, 0), across, 1)[:height, :width]
        outside = np.ones(size[::-1], bool)
        outside[hull[1] : hull[3], hull[0] : hull[2]] = False
        assert not spread[outside].any()


def test_a_region_beside_the_image_tints_nothing() -> None:
    image = noisy()
    for region in (Region(1.5, 0, 2, 1), Region(-2, 0, -1, 1), Region(0.5, 0.5, 0.501, 0.501)):
        assert_same(copies(colormap_blender("turbo", 1, "even").blend(image, ONES, region)), copies(image))


def test_a_region_beyond_the_image_is_cut() -> None:
    """As of a letterboxed input: of the map's 4 rows the outer ones lie on the bars."""
    heat = np.array([[0], [1], [1], [0]], np.float32)
    blender = colormap_blender("inferno", 1, "even")
    blended = blender.blend(new_image(40, 20), heat, Region(0, -0.5, 1, 1.5))
    # Rows of the map are centerd 5 rows above the image, on its rows 5 and 15, and 5 rows below it.
    luma = copies(blended)[0].astype(int)
    hottest = int(copies(blender.blend(new_image(), ONES, WHOLE))[0][0, 0])
    assert (luma[5:15] == hottest).all()
    assert (luma[0] < hottest).all()
    np.testing.assert_array_equal(luma, luma[::-1])


# --- where it lies ----------------------------------------------------------------------------------------

PLACES = [
    WHOLE,
    Region(0.21875, 0.0, 0.78125, 1.0),
    Region(0.0, -0.3888889, 1.0, 1.3888889),
    Region(0.1, 0.2, 0.9, 0.95),
]


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("size", [(320, 180), (321, 181), (180, 320), (64, 36)])
@pytest.mark.parametrize("region", PLACES)
@pytest.mark.parametrize("cell", [(3, 4), (2, 1), (3, 5)])
def test_the_peak_lands_where_its_cell_lies(
    pixel_format: str, size: tuple[int, int], region: Region, cell: tuple[int, int]
) -> None:
    """In each plane the hottest sample, and the center of the tent that one warm cell is enlarged to."""
    width, height = size
    heat: FloatArray = np.zeros((6, 7), np.float32)
    heat[cell] = 1
    blender = colormap_blender("autumn", 1, "even")  # brightness rises with heat, and blue falls
    image = new_image(width, height, pixel_format)
    none = planes_of(blender.blend(image, heat * 0, region))
    planes = planes_of(blender.blend(image, heat, region))
    across = (region.left + (cell[1] + 0.5) / 7 * (region.right - region.left)) * width
    down = (region.top + (cell[0] + 0.5) / 6 * (region.bottom - region.top)) * height
    for plane, cold in zip(planes[:2], none[:2], strict=True):
        warmth = abs(plane.astype(float) - cold)
        scale = np.ceil(np.array([height, width]) / plane.shape)  # pixels per sample
        places = np.indices(plane.shape).reshape(2, -1)
        center = (places @ warmth.ravel() / warmth.sum() + 0.5) * scale
        hottest = (places[:, warmth.ravel() == warmth.max()].mean(1) + 0.5) * scale
        np.testing.assert_allclose(center, (down, across), rtol=0, atol=1.01)
        np.testing.assert_allclose(hottest, (down, across), rtol=0, atol=1 + scale.max())


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_all_planes_enlarge_the_map_alike(pixel_format: str) -> None:
    """A vertical edge of heat in the middle lies in the middle of every plane."""
    heat = np.array([[0, 1]], np.float32)
    blended = colormap_blender("autumn", 1, "even").blend(
        new_image(64, 36, pixel_format, full_range=True), heat, WHOLE
    )
    coding = YuvCoding(Colorspace.ITU601, True, bits_of(pixel_format))
    table = coding.encode_rgb(lookup_table("autumn"))
    for plane, middle in zip(copies(blended), (table[127] + table[128]) / 2, strict=True):
        center = plane.shape[1] // 2
        found = plane[0, center - 1 : center + 1].mean()
        assert found == pytest.approx(middle, abs=2 * (coding.highest + 1) / 256)


# --- weights that follow the strength -----------------------------------------------------------------------


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize("size", [(32, 18), (33, 19), (1, 1)])
def test_with_a_ramp_what_is_not_heated_stays_bit_for_bit(pixel_format: str, size: tuple[int, int]) -> None:
    image = noisy(*size, pixel_format)
    for region in (WHOLE, Region(0.2, 0, 0.8, 1), Region(0, -0.4, 1, 1.4)):
        blended = colormap_blender("turbo", 1, "ramp").blend(image, ONES * 0, region)
        assert_same(copies(blended), copies(image))


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
@pytest.mark.parametrize(
    ("index", "share"),  # with t = h / 0.6: t t (3 - 2 t)
    [(0, 0), (51, 7 / 27), (102, 20 / 27), (153, 1), (204, 1), (255, 1)],
)
@pytest.mark.parametrize("alpha", [0.45, 1.0])
def test_the_ramp(pixel_format: str, index: int, share: float, alpha: float) -> None:
    image = new_image(33, 19, pixel_format, full_range=True, values=(100, 110, 120))
    heat = np.full((2, 3), index / 255, np.float32)
    blended = colormap_blender("jet", alpha, "ramp").blend(image, heat, WHOLE)
    colors = coding_of(image).encode_rgb(lookup_table("jet")[index])
    for plane, before, color in zip(copies(blended), (100, 110, 120), colors, strict=True):
        assert np.ptp(plane) == 0
        assert plane[0, 0] == pytest.approx((1 - alpha * share) * before + alpha * share * color, abs=1.01)


def test_full_heat_is_as_strong_with_either_blend() -> None:
    for gray in (16, 127, 235):
        image = new_image(values=(gray, 128, 128))
        blenders = [colormap_blender("turbo", 0.45, blend) for blend in BLENDS]
        ramp, even = (copies(blender.blend(image, ONES, WHOLE)) for blender in blenders)
        for plane, other in zip(ramp, even, strict=True):
            np.testing.assert_allclose(plane.astype(int), other, atol=1)


def test_an_unknown_blend() -> None:
    with pytest.raises(UnknownNameError, match="unknown blend 'rmap'"):
        colormap_blender("turbo", 0.5, "rmap")


# --- misuse -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [-0.1, 1.1, 2, float("nan")])
def test_alpha_is_a_weight(alpha: float) -> None:
    with pytest.raises(InvalidArgumentError, match=f"weight from 0 to 1, not {alpha:g}"):
        colormap_blender("turbo", alpha, "even")


def test_an_unknown_color_map() -> None:
    with pytest.raises(UnknownNameError, match="unknown color map 'rainbw'"):
        colormap_blender("rainbw", 0.5, "even")
