"""How outputs lie on the image: told from shapes alone, folded into planes and put back."""

from __future__ import annotations

import pytest
import torch

from streamcam.errors import ModelError
from streamcam.models.layouts import MAX_PREFIX_TOKENS, Layout, find_layout, place_tokens

WIDE, SQUARE = (224, 384), (224, 224)

PLANES = [
    ((2, 512, 7, 12), WIDE, (7, 12)),
    ((2, 512, 7, 7), SQUARE, (7, 7)),
    ((2, 64, 112, 192), WIDE, (112, 192)),
    ((2, 1024, 5, 10), WIDE, (5, 10)),  # without padding 10:5 comes of 12:7
    ((2, 3, 224, 384), WIDE, (224, 384)),
    ((2, 24, 56, 96), WIDE, (56, 96)),  # 24 rows of 56 would have cells half as wide again as high
    ((2, 7, 7, 7), SQUARE, (7, 7)),  # nothing speaks for channels last
]


@pytest.mark.parametrize(("shape", "image", "grid"), PLANES)
def test_planes_are_found(shape: tuple[int, ...], image: tuple[int, int], grid: tuple[int, int]) -> None:
    assert find_layout(shape, 2, image, []) == Layout("nchw", grid)


PIXELS = [
    ((2, 7, 7, 768), SQUARE, (7, 7)),
    ((2, 7, 12, 768), WIDE, (7, 12)),
    ((2, 56, 56, 96), SQUARE, (56, 56)),
    ((2, 56, 96, 96), WIDE, (56, 96)),
    ((2, 56, 96, 128), WIDE, (56, 96)),
]


@pytest.mark.parametrize(("shape", "image", "grid"), PIXELS)
def test_channels_last_are_found(
    shape: tuple[int, ...], image: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert find_layout(shape, 2, image, []) == Layout("nhwc", grid)


TOKENS = [
    ((2, 196, 192), SQUARE, [(14, 14)], (14, 14), 0),
    ((2, 197, 192), SQUARE, [(14, 14)], (14, 14), 1),
    ((2, 198, 192), SQUARE, [(14, 14)], (14, 14), 2),  # a distillation token
    ((2, 201, 192), SQUARE, [(14, 14)], (14, 14), 5),  # a class token and four registers
    ((2, 84 + 1, 64), WIDE, [(56, 96), (7, 12)], (7, 12), 1),
    ((2, 49, 64), SQUARE, [(56, 56), (28, 28), (14, 14), (7, 7)], (7, 7), 0),
    ((2, 50, 64), SQUARE, [(7, 7), (56, 56)], (7, 7), 1),
    ((2, 49, 64), SQUARE, [(56, 56)], (7, 7), 0),  # pooled as tokens three times
    ((2, 16, 64), SQUARE, [(14, 14)], (4, 4), 0),  # 14, 7, 4: halves are rounded up
    ((2, 196, 64), SQUARE, [], (14, 14), 0),  # cut without a convolution
]


@pytest.mark.parametrize(("shape", "image", "known", "grid", "prefix"), TOKENS)
def test_tokens_are_found(
    shape: tuple[int, ...],
    image: tuple[int, int],
    known: list[tuple[int, int]],
    grid: tuple[int, int],
    prefix: int,
) -> None:
    assert find_layout(shape, 2, image, known) == Layout("tokens", grid, prefix)


NOWHERE = [
    ((2, 1000), SQUARE, []),
    ((2,), SQUARE, []),
    ((), SQUARE, []),
    ((2, 1280, 1, 1), SQUARE, []),  # pooled
    ((2, 1, 768), SQUARE, [(14, 14)]),
    ((2, 512, 7, 7), WIDE, []),  # not the shape of the image
    ((2, 3, 196, 196), SQUARE, [(14, 14)]),  # attention, a number for each pair of places
    ((2, 196, 196, 3), SQUARE, [(14, 14)]),
    ((128, 49, 96), SQUARE, [(56, 56)]),  # windows of shifted attention in the batch's place
    ((1, 128, 14, 14), SQUARE, []),  # a table of positions, the same for every image
    ((2, 196 + MAX_PREFIX_TOKENS + 1, 64), SQUARE, [(14, 14)]),
    ((2, 3, 16, 14, 14), SQUARE, []),
]


@pytest.mark.parametrize(("shape", "image", "known"), NOWHERE)
def test_what_has_no_grid_gets_none(
    shape: tuple[int, ...], image: tuple[int, int], known: list[tuple[int, int]]
) -> None:
    assert find_layout(shape, 2, image, known) is None


LAYOUTS = [
    (Layout("nchw", (2, 3)), (4, 5, 2, 3)),
    (Layout("nhwc", (2, 3)), (4, 2, 3, 5)),
    (Layout("tokens", (2, 3)), (4, 6, 5)),
    (Layout("tokens", (2, 3), 1), (4, 7, 5)),
    (Layout("tokens", (2, 3), 5), (4, 11, 5)),
    (Layout("tokens", (2, 3), 1, suffix_tokens=4), (4, 11, 5)),
]


@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
def test_unfolding_puts_back_what_folding_took(layout: Layout, shape: tuple[int, ...]) -> None:
    output = torch.randn(shape)
    planes = layout.fold(output, (32, 48))
    assert planes.shape == (4, 5, 2, 3)
    assert torch.equal(layout.unfold(planes, output), output)


def test_tokens_fill_the_grid_row_by_row_after_those_of_no_place() -> None:
    output = torch.tensor([[[90.0], [91.0], [1.0], [2.0], [3.0], [4.0], [5.0], [6.0]]])
    assert Layout("tokens", (2, 3), 2).fold(output, (32, 48)).tolist() == [
        [[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]
    ]


def test_pixels_become_planes() -> None:
    output = torch.tensor([[[[1.0, -1.0], [2.0, -2.0]]]])  # one row of two places with two channels each
    assert Layout("nhwc", (1, 2)).fold(output, (16, 32)).tolist() == [[[[1.0, 2.0]], [[-1.0, -2.0]]]]


@pytest.mark.parametrize(
    ("layout", "shape", "image", "grid"),
    [
        (Layout("nchw", (7, 7)), (1, 512, 5, 9), (160, 288), (5, 9)),
        (Layout("nhwc", (7, 7)), (1, 5, 9, 512), (160, 288), (5, 9)),
        (Layout("tokens", (7, 7), 1), (1, 50, 64), (112, 112), (7, 7)),
        (Layout("tokens", (14, 24), 5), (1, 14 * 24 + 5, 64), (224, 384), (14, 24)),
        (Layout("tokens", (14, 24), 5), (1, 14 * 24 + 5, 64), (384, 224), (24, 14)),
        (Layout("tokens", (14, 24), 5), (1, 14 * 18 + 5, 64), (224, 288), (14, 18)),
        (Layout("tokens", (14, 24), 5), (1, 14 * 56 + 5, 64), (224, 896), (14, 56)),
        # 672 places: 14x48 of 16x8 pixels, and not 21x32 of about square ones
        (Layout("tokens", (28, 48), 0, 2.0), (1, 28 * 24, 64), (448, 192), (28, 24)),
        (Layout("tokens", (14, 28), 0, 2.0), (1, 14 * 48, 64), (224, 384), (14, 48)),
        # sides that patches do not divide: 225 by 385 pixels, filled up to 15 by 25 patches of 16
        (Layout("tokens", (14, 24)), (1, 15 * 25, 64), (225, 385), (15, 25)),
    ],
)
def test_an_image_of_another_shape_has_another_grid(
    layout: Layout, shape: tuple[int, ...], image: tuple[int, int], grid: tuple[int, int]
) -> None:
    assert layout.grid_of(torch.zeros(shape), image) == grid


@pytest.mark.parametrize("count", [0, 13, 331])
def test_tokens_that_make_no_grid_on_an_image_are_refused(count: int) -> None:
    with pytest.raises(ModelError, match=rf"{count} tokens make no grid on an image of 384x224 pixels"):
        Layout("tokens", (14, 24), 1).fold(torch.zeros(1, count + 1, 8), (224, 384))


def test_the_moments_of_a_clip_are_one_tall_plane_with_the_newest_at_the_bottom() -> None:
    layout = find_layout((2, 3, 4, 14, 14), 2, SQUARE, [], frames=16)
    assert layout is not None
    assert (layout.kind, layout.grid) == ("ncthw", (14, 14))
    output = torch.arange(1 * 2 * 3 * 2 * 2).reshape(1, 2, 3, 2, 2).float()  # three moments of 2x2 places
    planes = layout.fold(output, SQUARE)
    assert planes.shape == (1, 2, 6, 2)
    assert torch.equal(layout.unfold(planes, output), output)
    assert torch.equal(layout.moments_of(planes[:, 0], output), output[:, 0])
    assert layout.grid_of(output, SQUARE) == (2, 2)


def changes(prefix: int, suffix: int, *, noise: float = 0.2) -> torch.Tensor:
    """How tokens change with the upper left quarter of a grid of 4x6, and a little of all that is there."""
    grid = torch.zeros(4, 6)
    grid[:2, :3] = 1
    chance = torch.rand(prefix + 24 + suffix, generator=torch.Generator().manual_seed(1))
    return torch.cat([torch.zeros(prefix), grid.flatten(), torch.zeros(suffix)]) + noise * chance


@pytest.mark.parametrize(("prefix", "suffix"), [(1, 0), (5, 0), (0, 1), (0, 4), (1, 4), (2, 30)])
def test_the_tokens_that_answer_are_the_patches(prefix: int, suffix: int) -> None:
    guessed = Layout("tokens", (4, 6), prefix + suffix)
    found = place_tokens(guessed, changes(prefix, suffix), (32, 48), [(4, 6)])
    assert found == Layout("tokens", (4, 6), prefix, suffix_tokens=suffix)


def test_tokens_are_before_the_patches_where_all_answer_alike() -> None:
    found = place_tokens(Layout("tokens", (4, 6), 5), torch.ones(29), (32, 48), [(4, 6)])
    assert found == Layout("tokens", (4, 6), 5)


def test_any_number_of_other_tokens_is_found_where_the_patches_answer_clearly() -> None:
    """As a detector has one for each object that there could be."""
    found = place_tokens(None, changes(1, 100), (32, 48), [(8, 12), (4, 6)])
    assert found == Layout("tokens", (4, 6), 1, suffix_tokens=100)
    assert place_tokens(None, torch.rand(125), (32, 48), [(8, 12), (4, 6)]) is None


def test_moments_with_channels_last_lie_as_those_with_channels_first() -> None:
    layout = find_layout((2, 4, 7, 12, 96), 2, (224, 384), [], frames=16)
    assert layout is not None
    assert (layout.kind, layout.grid) == ("nthwc", (7, 12))
    first = torch.arange(1 * 2 * 3 * 2 * 2).reshape(1, 2, 3, 2, 2).float()
    last = first.permute(0, 2, 3, 4, 1)
    planes = layout.fold(last, SQUARE)
    assert torch.equal(planes, Layout("ncthw", (2, 2)).fold(first, SQUARE))
    assert torch.equal(layout.unfold(planes, last), last)
    assert torch.equal(layout.moments_of(planes[:, 0], last), first[:, 0])
    assert layout.grid_of(last, SQUARE) == (2, 2)


@pytest.mark.parametrize(
    ("count", "grid"), [(8 * 56 * 56 + 1, (56, 56)), (8 * 7 * 7 + 1, (7, 7)), (8 * 14 * 14, (14, 14))]
)
def test_tokens_of_a_clip_have_a_grid_for_each_moment(count: int, grid: tuple[int, int]) -> None:
    layout = find_layout((2, count, 96), 2, SQUARE, [(56, 56)], frames=16, known_moments=[8])
    assert layout == Layout("tokens", grid, count % 8, 224 / grid[0] / (224 / grid[1]), 8)


def test_tokens_of_a_clip_follow_one_another_moment_by_moment() -> None:
    layout = Layout("tokens", (2, 2), 1, 1.0, 3)
    planes = torch.arange(1 * 2 * 3 * 2 * 2).reshape(1, 2, 3, 2, 2).float()
    tokens = torch.cat([torch.full((1, 1, 2), -1.0), planes.flatten(2).transpose(1, 2)], dim=1)
    folded = layout.fold(tokens, SQUARE)
    assert torch.equal(folded, Layout("ncthw", (2, 2)).fold(planes, SQUARE))
    assert torch.equal(layout.unfold(folded, tokens), tokens)
    assert torch.equal(layout.moments_of(folded[:, 0], tokens), planes[:, 0])
    assert layout.grid_of(tokens, SQUARE) == (2, 2)


def test_tokens_of_a_clip_may_follow_one_another_place_by_place() -> None:
    guessed = find_layout((2, 1 + 3 * 24, 8), 2, (32, 48), [(4, 6)], frames=3, known_moments=[3])
    assert guessed is not None
    quarter = torch.zeros(4, 6)
    quarter[:2, :3] = 1
    noise = 0.2 * torch.rand(73, generator=torch.Generator().manual_seed(1))
    by_place = torch.cat([torch.zeros(1), quarter.flatten().repeat_interleave(3)]) + noise
    by_moment = torch.cat([torch.zeros(1), quarter.flatten().repeat(3)]) + noise
    layout = place_tokens(guessed, by_place, (32, 48), ())
    assert layout == Layout("tokens", (4, 6), 1, 1.0, 3, moments_last=True)
    assert place_tokens(guessed, by_moment, (32, 48), ()) == guessed
    planes = torch.arange(1 * 2 * 3 * 4 * 6).reshape(1, 2, 3, 4, 6).float()
    tokens = torch.cat([torch.full((1, 1, 2), -1.0), planes.permute(0, 3, 4, 2, 1).flatten(1, 3)], dim=1)
    folded = layout.fold(tokens, (32, 48))
    assert torch.equal(folded, planes.flatten(2, 3))
    assert torch.equal(layout.unfold(folded, tokens), tokens)
    assert torch.equal(layout.moments_of(folded[:, 0], tokens), planes[:, 0])


@pytest.mark.parametrize("shape", [(2 * 3, 5, 4, 6), (2 * 3, 1 + 24, 5)])
def test_frames_that_go_through_a_layer_one_by_one_are_moments(shape: tuple[int, ...]) -> None:
    layout = find_layout(shape, 2, (32, 48), [(4, 6)], frames=3)
    assert layout is not None
    assert (layout.grid, layout.frames) == ((4, 6), 3)
    planes = torch.arange(2 * 5 * 3 * 4 * 6).reshape(2, 5, 3, 4, 6).float()
    of_frames = planes.transpose(1, 2).flatten(0, 1)
    if len(shape) == 3:
        of_frames = torch.cat([torch.ones(6, 1, 5), of_frames.flatten(2).transpose(1, 2)], dim=1)
    folded = layout.fold(of_frames, (32, 48))
    assert torch.equal(folded, planes.flatten(2, 3))
    assert torch.equal(layout.unfold(folded, of_frames), of_frames)
    assert torch.equal(layout.moments_of(folded[:, 0], of_frames), planes[:, 0])


def test_windows_that_are_as_many_as_frames_are_none() -> None:
    assert find_layout((2 * 16, 49, 96), 2, SQUARE, [(14, 14)], frames=16) is None
