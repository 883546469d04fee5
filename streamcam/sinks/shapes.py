"""Boxes, masks and polygons of objects in pixels of the frame, as files hold them."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.explanations import Instance, RenderedFrame

_TOLERANCE = 0.005
"""How far a polygon may lie from the mask's outline, as a share of the frame's longer side."""


def annotations_of(frame: RenderedFrame) -> tuple[Instance, ...]:
    """Return the objects of a frame that are written as annotations, those with an area inside it."""
    if frame.stabilized is None:
        return ()
    return tuple(one for one in frame.stabilized.annotations if _has_area(one))


def annotated_size(frame: RenderedFrame) -> tuple[int, int]:
    """Return the size of the frame itself, (width, height) in pixels, whatever layout it is drawn in."""
    image = frame.image if frame.stabilized is None else frame.stabilized.frame.image
    return image.width, image.height


def _has_area(instance: Instance) -> bool:
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in instance.box)
    return all(map(math.isfinite, instance.box)) and left < right and top < bottom


def pixel_box(instance: Instance, size: tuple[int, int]) -> list[float]:
    """Return an object's box inside the frame: left, top, right and bottom edge, in pixels to one decimal.

    Args:
        instance: The object.
        size: Size of the frame, (width, height) in pixels.
    """
    width, height = size
    left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in instance.box)
    return [round(edge, 1) for edge in (left * width, top * height, right * width, bottom * height)]


def pixel_mask(instance: Instance, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return which pixels of the frame belong to an object, bool (height, width): its mask, or its box.

    Args:
        instance: The object.
        size: Size of the frame, (width, height) in pixels.
    """
    width, height = size
    pixels = np.zeros((height, width), np.bool_)
    left, top, right, bottom = (
        round(edge * side) for edge, side in zip(instance.box, (width, height, width, height), strict=True)
    )
    if right <= left or bottom <= top:
        return pixels
    rows, columns = (
        slice(min(max(start, 0), length), min(max(stop, 0), length))
        for start, stop, length in ((top, bottom, height), (left, right, width))
    )
    if instance.mask is None or not instance.mask.size:
        pixels[rows, columns] = True
        return pixels
    whole = cv2.resize(
        instance.mask.astype(np.uint8) * 255, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR
    )
    pixels[rows, columns] = (
        whole[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] > 127
    )
    return pixels


def pixel_polygons(instance: Instance, size: tuple[int, int]) -> list[list[list[float]]]:
    """Return the outlines of an object's mask, or its box: polygons of (x, y) in pixels to one decimal.

    Args:
        instance: The object.
        size: Size of the frame, (width, height) in pixels.
    """
    if instance.mask is None or not instance.mask.size:
        left, top, right, bottom = pixel_box(instance, size)
        return [[[left, top], [right, top], [right, bottom], [left, bottom]]]
    mask = pixel_mask(instance, size).view(np.uint8)
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    polygons = []
    for outline in outlines:
        simple = cv2.approxPolyDP(outline, max(0.5, _TOLERANCE * max(size)), True)[:, 0]
        if len(simple) >= 3:
            polygons.append([[x + 0.5, y + 0.5] for x, y in simple.tolist()])
    return polygons
