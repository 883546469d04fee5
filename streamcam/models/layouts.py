"""How a layer's output lies on the image: as planes, as pixels with channels last, as tokens, or in time."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Literal

import torch

from streamcam.errors import ModelError

Grid = tuple[int, int]
"""(rows, columns)."""

MAX_PREFIX_TOKENS = 32
"""Class, distillation and register tokens before the patches: more than this is something else."""

# Of the correlation with what patches saw: noticeably better, and certainly patches.
_CLEARLY_BETTER = 0.05
_CLEARLY_PATCHES = 0.9

# A grid's cells are about as wide as they are high: padding and striding change that by a little.
_ASPECT_TOLERANCE = 0.35


@dataclasses.dataclass(frozen=True, slots=True)
class Layout:
    """Where the features of each place stand in a layer's output."""

    kind: Literal["nchw", "nhwc", "tokens", "ncthw", "nthwc"]
    """Planes, channels last, tokens, or either of the first two for t moments of a clip."""
    grid: Grid
    """Its grid in the trial run; images of other shapes may have another."""
    prefix_tokens: int = 0
    """Tokens before the patches that stand for no place."""
    cell_aspect: float = 1.0
    """Of tokens: the height of a place in the image, divided by its width."""
    moments: int = 1
    """Of tokens: t, the number of moments of a clip that follow one another."""
    suffix_tokens: int = 0
    """Tokens behind the patches that stand for no place."""
    moments_last: bool = False
    """Of tokens: whether the moments of a place follow one another, rather than the places of a moment."""
    frames: int = 1
    """Number of frames of a clip that went through the layer one by one, in the place of the batch."""

    def fold(self, output: torch.Tensor, image: Grid) -> torch.Tensor:
        """Rearrange an output of the layer into planes.

        The moments of a clip become one tall plane, the newest at the bottom, so that methods need not know
        of time: a place is then a place at a moment. `moments_of` takes finished maps apart again.

        Args:
            output: (N, C, h, w), (N, h, w, C), (N, prefix + t * h * w + suffix, C), (N, C, t, h, w) or
                (N, t, h, w, C), as `kind` says; of the first three (N * frames, ...) for single frames.
            image: (height, width) of the network's input.

        Returns:
            (N, C, h, w), or (N, C, t * h, w) for clips; a view where possible.

        Raises:
            ModelError: if the number of tokens fits no grid on an image of that shape.
        """
        if self.frames > 1:
            planes = self._of_a_frame.fold(output, image)
            return torch.unflatten(planes, 0, (-1, self.frames)).transpose(1, 2).flatten(2, 3)
        if self.kind == "nchw":
            return output
        if self.kind == "nhwc":
            return output.permute(0, 3, 1, 2)
        if self.kind == "ncthw":
            return output.flatten(2, 3)
        if self.kind == "nthwc":
            return output.flatten(1, 2).permute(0, 3, 1, 2)
        rows, columns = self.grid_of(output, image)
        places = self.moments * rows * columns
        patches = output[:, self.prefix_tokens : self.prefix_tokens + places].transpose(1, 2)
        if self.moments_last:
            patches = torch.unflatten(patches, 2, (rows * columns, self.moments)).transpose(2, 3)
        return patches.reshape(output.shape[0], output.shape[2], self.moments * rows, columns)

    @property
    def _of_a_frame(self) -> Layout:
        return dataclasses.replace(self, frames=1)

    def moments_of(self, maps: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
        """Take apart the moments of clips in maps; a layer without a time axis has one.

        Args:
            maps: What a method made of folded outputs, (N, t * h, w).
            output: The layer's output, as for `fold`.

        Returns:
            (N, t, h, w).
        """
        own = {"ncthw": output.shape[2], "nthwc": output.shape[1]}.get(self.kind, self.moments)
        moments = own * self.frames
        return maps.reshape(len(maps), moments, -1, maps.shape[2])

    def grid_of(self, output: torch.Tensor, image: Grid) -> Grid:
        """Return the grid of an output, which may differ from that of the trial run.

        Args:
            output: As for `fold`.
            image: (height, width) of the network's input.

        Raises:
            ModelError: if the number of tokens fits no grid on an image of that shape.
        """
        if self.kind == "nchw":
            return output.shape[2], output.shape[3]
        if self.kind == "nhwc":
            return output.shape[1], output.shape[2]
        if self.kind == "ncthw":
            return output.shape[3], output.shape[4]
        if self.kind == "nthwc":
            return output.shape[2], output.shape[3]
        height, width = image
        count = (output.shape[1] - self.prefix_tokens - self.suffix_tokens) // self.moments
        grid = _grid_of_tokens(count, (height / self.cell_aspect, width))
        if grid is None:
            raise ModelError(
                f"{count} tokens make no grid on an image of {width}x{height} pixels; "
                "choose another `target_layer` or `fit`"
            )
        return grid

    def unfold(self, planes: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """Put planes back where `fold` took them from.

        Args:
            planes: (N, C, h, w).
            like: An output of the layer with the same batch; its other tokens are kept.

        Returns:
            A tensor of the layer's own layout.
        """
        if self.frames > 1:
            of_frames = torch.unflatten(planes, 2, (self.frames, -1)).transpose(1, 2).flatten(0, 1)
            return self._of_a_frame.unfold(of_frames, like)
        if self.kind == "nchw":
            return planes
        if self.kind == "nhwc":
            return planes.permute(0, 2, 3, 1)
        if self.kind == "ncthw":
            return planes.reshape(*planes.shape[:2], like.shape[2], like.shape[3], planes.shape[3])
        if self.kind == "nthwc":
            return planes.permute(0, 2, 3, 1).reshape(like.shape)
        prefix = like[:, : self.prefix_tokens]
        suffix = like[:, self.prefix_tokens + planes.shape[2] * planes.shape[3] :]
        places = planes.flatten(2)
        if self.moments_last:
            places = torch.unflatten(places, 2, (self.moments, -1)).transpose(2, 3).flatten(2)
        return torch.cat([prefix, places.transpose(1, 2), suffix], dim=1)


def find_layout(
    shape: tuple[int, ...],
    batch: int,
    image: Grid,
    known_grids: Sequence[Grid],
    *,
    frames: int = 1,
    known_moments: Sequence[int] = (),
) -> Layout | None:
    """Find out how an output lies on the image, if it does.

    Args:
        shape: The output's shape.
        batch: How many images went in: two or more, so that what has another length there (windows of
            shifted attention, tables of relative positions) can be distinguished.
        image: (height, width) of the network's input.
        known_grids: The grids of layers that ran before: tokens have that of the planes they were cut from.
        frames: Number of frames in a clip, so that outputs may have a time axis, or each be of a frame; 1 for
            images.
        known_moments: How many moments of a clip layers that ran before had.

    Returns:
        None where the output has no grid of more than one place.
    """
    if frames > 1 and shape[:1] == (batch * frames,):
        of_a_frame = find_layout(shape, batch * frames, image, known_grids)
        # Windows of a clip may be as many as frames, but have a shape of their own.
        if of_a_frame is None or (len(shape) == 3 and of_a_frame.grid not in known_grids):
            return None
        return dataclasses.replace(of_a_frame, frames=frames)
    if not shape or shape[0] != batch:
        return None
    if len(shape) == 4 and not _is_attention(shape, known_grids):
        return _find_planes(shape, image)
    if len(shape) == 3:
        for moments in dict.fromkeys(reversed(known_moments)):
            layout = _find_clip_tokens(shape, image, known_grids, moments)
            if layout is not None:
                return layout
        return _find_tokens(shape, image, known_grids)
    if len(shape) == 5 and frames > 1:
        planes, pixels = Layout("ncthw", (shape[3], shape[4])), Layout("nthwc", (shape[2], shape[3]))
        return _best_planes([planes, pixels], image)
    return None


def _is_attention(shape: tuple[int, ...], known_grids: Sequence[Grid]) -> bool:
    """Return whether an output holds a number for each pair of places, heads first or last."""
    places = {rows * columns for rows, columns in known_grids if rows * columns > 1}
    return shape[2] in places and shape[2] in (shape[1], shape[3])


def _find_planes(shape: tuple[int, ...], image: Grid) -> Layout | None:
    return _best_planes([Layout("nchw", (shape[2], shape[3])), Layout("nhwc", (shape[1], shape[2]))], image)


def _best_planes(layouts: Sequence[Layout], image: Grid) -> Layout | None:
    # Where a number of channels looks like one of rows, the shape of the cells decides.
    fitting = [layout for layout in layouts if _distortion(layout.grid, image) <= 1]
    best = min(fitting, key=lambda layout: _distortion(layout.grid, image), default=None)
    return best if best is not None and best.grid[0] * best.grid[1] > 1 else None


@functools.lru_cache(maxsize=64)
def _grid_of_tokens(count: int, image: tuple[float, float]) -> Grid | None:
    """Find the grid with this number of places and the image's shape; None if there is none."""
    grids = [(rows, count // rows) for rows in range(1, count + 1) if count % rows == 0]
    best = min(grids, key=lambda grid: _distortion(grid, image), default=None)
    return best if best is not None and _distortion(best, image) <= 1 else None


def _distortion(grid: Grid, image: tuple[float, float]) -> float:
    """Measure how far a grid is from being the image at a lower resolution, with cells as wide as high.

    Returns:
        0 if it is exactly that, up to 1 if it can be, more if it cannot.
    """
    (rows, columns), (height, width) = grid, image
    if rows > height or columns > width:
        return math.inf
    # A side of few cells is rounded coarsely.
    slack = _ASPECT_TOLERANCE + 1 / min(rows, columns)
    return abs(math.log((height / rows) / (width / columns))) / math.log1p(slack)


def _find_tokens(shape: tuple[int, ...], image: Grid, known_grids: Sequence[Grid]) -> Layout | None:
    count = shape[1]
    known = list(dict.fromkeys(reversed(known_grids)))
    grid = _best_fitting(count, known or _square_grids(image), MAX_PREFIX_TOKENS)
    if grid is None and known:  # pooled as tokens: half of a grid, without a token before the patches
        grid = _best_fitting(count, _halves(known), 0)
    if grid is None or grid[0] * grid[1] == 1:
        return None
    return Layout("tokens", grid, count - grid[0] * grid[1], _cell_aspect(grid, image))


def place_tokens(
    layout: Layout | None, changes: torch.Tensor, image: Grid, known_grids: Sequence[Grid]
) -> Layout | None:
    """Find out where the patches stand among tokens, by which of them answer to a part of the image.

    Args:
        layout: What the tokens' number says; None if it fits no grid.
        changes: How far each token changed when the upper left quarter of the image did, float32 (tokens,).
        image: (height, width) of the network's input.
        known_grids: As for `find_layout`.

    Returns:
        The layout with its tokens before and behind the patches; None if no grid answers.
    """
    if layout is not None and layout.moments > 1:
        return _order_moments(layout, changes)
    if layout is not None and layout.prefix_tokens == 0:
        return layout
    agreement, grid, prefix = -1.0 if layout is not None else _CLEARLY_PATCHES, None, 0
    for candidate in [layout.grid] if layout is not None else dict.fromkeys(known_grids):
        if not 1 < candidate[0] * candidate[1] < len(changes):
            continue
        agreements = _agreement(changes, candidate)
        if layout is not None:  # before all patches, unless it shows that they are not
            agreements[-1] += _CLEARLY_BETTER
        best = int(agreements.argmax())
        if agreements[best] > agreement:
            agreement, grid, prefix = float(agreements[best]), candidate, best
    if grid is None:
        return None
    suffix = len(changes) - grid[0] * grid[1] - prefix
    frames = 1 if layout is None else layout.frames
    return Layout("tokens", grid, prefix, _cell_aspect(grid, image), suffix_tokens=suffix, frames=frames)


def _agreement(changes: torch.Tensor, grid: Grid) -> torch.Tensor:
    """Correlate how far tokens changed with what the patches of a grid saw, for each place of the first one.

    Returns:
        float32 (tokens - rows * columns + 1,), -1 to 1.
    """
    rows, columns = grid
    seen = _upper_left_quarter(grid)
    windows = changes.unfold(0, rows * columns, 1)
    windows, seen = windows - windows.mean(dim=1, keepdim=True), seen - seen.mean()
    norms = (windows.norm(dim=1) * seen.norm()).clamp(min=torch.finfo(torch.float32).tiny)
    return (windows @ seen).div(norms)


def _order_moments(layout: Layout, changes: torch.Tensor) -> Layout:
    """Find out whether the tokens of one moment follow one another, or those of one place."""
    quarter = _upper_left_quarter(layout.grid)
    patches = changes[layout.prefix_tokens :][: layout.moments * len(quarter)]
    orders = (quarter.repeat(layout.moments), quarter.repeat_interleave(layout.moments))
    by_moment, by_place = (float(torch.corrcoef(torch.stack([patches, order]))[0, 1]) for order in orders)
    return dataclasses.replace(layout, moments_last=by_place > by_moment + _CLEARLY_BETTER)


def _upper_left_quarter(grid: Grid) -> torch.Tensor:
    """Return how much of each place lies in the upper left quarter, float32 (rows * columns,)."""
    rows, columns = grid
    down = (rows / 2 - torch.arange(rows)).clamp(0, 1)
    across = (columns / 2 - torch.arange(columns)).clamp(0, 1)
    return (down[:, None] * across).flatten()


def _cell_aspect(grid: Grid, image: Grid) -> float:
    return (image[0] / grid[0]) / (image[1] / grid[1])


def _find_clip_tokens(
    shape: tuple[int, ...], image: Grid, known_grids: Sequence[Grid], moments: int
) -> Layout | None:
    """Find a known grid, or half of one, that tokens of several moments have, perhaps with a class token."""
    known = list(dict.fromkeys(reversed(known_grids)))
    for grid in (*known, *_halves(known)):
        prefix = shape[1] - moments * grid[0] * grid[1]
        if prefix in (0, 1) and grid[0] * grid[1] > 1:
            return Layout("tokens", grid, prefix, _cell_aspect(grid, image), moments)
    return None


def _best_fitting(count: int, grids: Sequence[Grid], most_prefix_tokens: int) -> Grid | None:
    """Find the grid that leaves the fewest tokens over; the first of several."""
    fitting = [grid for grid in grids if 0 <= count - grid[0] * grid[1] <= most_prefix_tokens]
    return min(fitting, key=lambda grid: count - grid[0] * grid[1], default=None)


def _square_grids(image: Grid) -> list[Grid]:
    """The grids that square patches of any size would make."""
    height, width = image
    return [
        (height // patch, width // patch)
        for patch in range(4, min(height, width) + 1)
        if height % patch == 0 and width % patch == 0
    ]


def _halves(grids: Sequence[Grid]) -> list[Grid]:
    """The grids that halving these again and again makes."""
    found = []
    for rows, columns in grids:
        while rows * columns > 1:
            rows, columns = -(-rows // 2), -(-columns // 2)
            found.append((rows, columns))
    return found
