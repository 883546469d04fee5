"""Regions of interest: what a user may write, which cells of a grid it covers, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import info_of, make_image
from PIL import Image

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation, Instance, StabilizedFrame
from streamcam.frames import Frame, Region, SourceInfo
from streamcam.localization.regions import read_region

INFO = dataclasses.replace(info_of(size=(16, 8)), frame_count=20)
SHAPE = (8, 16)


def frame(index: int = 0, *instances: Instance, thumbnail: Any = None, cut: bool = False) -> StabilizedFrame:
    explanation = Explanation(index, {}, (), (), "", "", Region(), starts_shot=cut, thumbnail=thumbnail)
    image = Frame(make_image(16, 8), index, index, Fraction(1, 10), 0.0)
    return StabilizedFrame(image, {}, (), (), explanation, instances)


def cells(text: str, index: int = 0, *instances: Instance) -> list[list[int]] | None:
    """The rows and columns that a region covers on a frame of 16x8 pixels, a cell each."""
    mask = read_region(text, INFO).mask(frame(index, *instances), SHAPE)
    return None if mask is None else np.argwhere(mask).tolist()


def block(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[row, column] for row in range(top, bottom) for column in range(left, right)]


def test_a_box_covers_its_pixels() -> None:
    assert cells("2,1,6,4") == block(2, 1, 6, 4)
    assert cells(" 0, 0, 16, 8") == block(0, 0, 16, 8)


def test_a_polygon_covers_the_pixels_whose_middle_is_inside() -> None:
    """A triangle just wider than half of a square of 4 pixels."""
    assert cells("0,0,4.2,4,0,4") == [[row, column] for row in range(4) for column in range(row + 1)]


def test_a_region_smaller_than_a_cell_covers_the_nearest() -> None:
    assert cells("3.6,2.6,3.9,2.9") == [[2, 3]]


def test_what_lies_beyond_the_picture_is_cut_off() -> None:
    assert cells("10,6,99,99") == block(10, 6, 16, 8)
    assert cells("-5,-5,3,2") == block(0, 0, 3, 2)
    # A triangle whose middle is far outside: of a cell that it only touches, the nearest one inside.
    assert cells("15.7,0,900,-1,900,0.4") == [[0, 15]]
    assert cells("-16,0,16,0,-16,32") == cells("0,0,16,0,0,16")


def test_the_segment_is_the_box_around_the_heat() -> None:
    heat = np.zeros((4, 8), np.float32)
    heat[1:3, 2:5] = 1
    heat[0, 7] = 0.9
    region = read_region("segment", INFO)
    assert region.mask(frame(), SHAPE) is None
    mask = region.mask(dataclasses.replace(frame(), heatmaps={3: heat}), SHAPE)
    assert mask is not None
    # Just beyond the warm cells, linear interpolation leaves a quarter, less than the threshold of 0.3.
    assert np.argwhere(mask).tolist() == block(4, 2, 10, 6)


def test_the_center_is_the_middle_half_of_both_sides() -> None:
    assert cells("center") == block(4, 2, 12, 6)


def test_the_bright_part_of_a_picture_of_any_size(tmp_path: Path) -> None:
    picture = np.zeros((16, 32), np.uint8)
    picture[4:8, 8:20] = 255
    Image.fromarray(picture).save(tmp_path / "mask.png")
    assert cells(str(tmp_path / "mask.png")) == block(4, 2, 10, 4)


def test_detected_objects_of_a_class() -> None:
    person = Instance(0, "Person", 0.9, (0.25, 0.25, 0.5, 0.75))
    car = Instance(1, "car", 0.9, (0, 0, 1, 1))
    assert cells("class:person", 0, person, car) == block(4, 2, 8, 6)
    assert cells("class:person", 0, car) is None


def test_boxes_by_frame(tmp_path: Path) -> None:
    lines = [
        {"streamcam": "a header"},
        {"frame": 1, "box": [2, 1, 6, 4]},
        {"frame": 2, "boxes": [[0, 0, 1, 1], [2, 0, 3, 1]]},
        {"frame": 4, "heat_boxes": [{"box": [5, 5, 6, 6]}]},
        {"frame": 5},
    ]
    path = tmp_path / "boxes.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines) + "\n")
    assert cells(str(path), 1) == block(2, 1, 6, 4)
    assert cells(str(path), 2) == [[0, 0], [0, 2]]
    assert cells(str(path), 4) == [[5, 5]]
    assert [cells(str(path), index) for index in (0, 3, 5)] == [None, None, None]


def coco(path: Path, **changes: Any) -> Path:
    """Two images of twice the frame's size, with a box on the second."""
    read = {
        "images": [
            {"id": 7, "file_name": "b.png", "width": 32, "height": 16},
            {"id": 3, "file_name": "a.png", "width": 32, "height": 16},
        ],
        "annotations": [{"id": 1, "image_id": 3, "category_id": 1, "bbox": [4, 2, 8, 6]}],
        "categories": [],
        **changes,
    }
    path.write_text(json.dumps(read))
    return path


def coco_of(path: Path, *names: str, boxed: int = 0, **changes: Any) -> Path:
    """Images of these names, with a box on one of them: two by two pixels, at its place."""
    images = [
        {"id": 10 + place, "file_name": name, "width": 16, "height": 8} for place, name in enumerate(names)
    ]
    box = {"id": 1, "image_id": 10 + boxed, "bbox": [0, 0, 2, 2]}
    return coco(path, images=images, annotations=[box], **changes)


def boxed_frames(path: Path, info: SourceInfo) -> list[int]:
    region = read_region(str(path), info)
    return [index for index in range(20) if region.mask(frame(index), SHAPE) is not None]


def of_frames(count: int | None) -> SourceInfo:
    return dataclasses.replace(INFO, frame_count=count)


def test_coco_annotations_by_the_names_of_files(tmp_path: Path) -> None:
    path = coco(tmp_path / "boxes.json")
    info = dataclasses.replace(INFO, files=(Path("x/a.png"), Path("x/b.png")), frame_count=2)
    mask = read_region(str(path), info).mask(frame(0), SHAPE)
    assert mask is not None
    assert np.argwhere(mask).tolist() == block(2, 1, 6, 4)
    other = dataclasses.replace(info, files=(Path("x/c.png"), Path("x/b.png")))
    with pytest.raises(InvalidArgumentError, match=r"boxes for 'a\.png', which is no image of"):
        read_region(str(path), other)
    still = dataclasses.replace(INFO, path=Path("x/c.png"), is_still=True, frame_count=1)
    with pytest.raises(InvalidArgumentError, match=r"boxes for 'a\.png', which is no image of"):
        read_region(str(path), still)


def test_coco_annotations_of_a_video_by_order_or_number(tmp_path: Path) -> None:
    """In order, of names or of the file, if there are as many images as frames; else by numbers from 0."""
    path = tmp_path / "boxes.json"
    assert boxed_frames(coco_of(path, "b.png", "a.png", boxed=1), of_frames(2)) == [1]
    assert boxed_frames(coco_of(path, "f_2.png", "f_3.png", "f_1.png", boxed=2), of_frames(3)) == [0]
    assert boxed_frames(coco_of(path, "frame_000007.png"), of_frames(20)) == [7]
    assert boxed_frames(coco_of(path, "folder/f 12.jpg", "f 3.jpg"), of_frames(None)) == [12]


FOREIGN = [
    (
        ("cat.jpg",),
        20,
        "has 1 image and 'input' 20 frames; name images by the number of their frame, from 0",
    ),
    (("cat.jpg",), None, "has 1 image and 'input' an unknown number of frames"),
    (("a1.jpg", "b1.jpg"), 20, "has 2 images and 'input' 20 frames"),
    (("000000397133.jpg",), 20, "has boxes for frame 397133, and 'input' has 20 frames"),
]


@pytest.mark.parametrize(("names", "count", "says"), FOREIGN)
def test_coco_annotations_of_foreign_images_are_refused(
    tmp_path: Path, names: tuple[str, ...], count: int | None, says: str
) -> None:
    path = coco_of(tmp_path / "boxes.json", *names)
    with pytest.raises(InvalidArgumentError, match=says):
        read_region(str(path), dataclasses.replace(of_frames(count), name="input"))


def test_coco_images_of_another_shape_are_refused(tmp_path: Path) -> None:
    image = {"id": 3, "file_name": "frame_3.png", "width": 16, "height": 16}
    with pytest.raises(InvalidArgumentError, match=r"'frame_3\.png' of .* is 16x16, which is not the shape"):
        read_region(str(coco(tmp_path / "boxes.json", images=[image])), INFO)


def test_boxes_that_streamcam_wrote_are_of_the_input_they_name(tmp_path: Path) -> None:
    """Of that input they may count more frames than were estimated, and be in another size."""
    header = {"streamcam": "1.0", "input": "there/film.mp4", "width": 32, "height": 16}
    path = tmp_path / "boxes.jsonl"
    path.write_text(
        f"{json.dumps(header)}\n" + json.dumps({"frame": 19, "heat_boxes": [{"box": [4, 2, 12, 8]}]})
    )
    film = dataclasses.replace(of_frames(19), name="here/film.mp4")
    mask = read_region(str(path), film).mask(frame(19), SHAPE)
    assert mask is not None
    assert np.argwhere(mask).tolist() == block(2, 1, 6, 4)
    about = {"description": "film.mp4", "version": "streamcam 1.0"}
    own = coco_of(tmp_path / "boxes.json", "frame_000019.png", info=about)
    assert boxed_frames(own, film) == [19]
    for file in (path, own):
        with pytest.raises(InvalidArgumentError, match=r"written for '.*film\.mp4', not for 'other\.mp4'"):
            read_region(str(file), dataclasses.replace(film, name="other.mp4"))


def test_what_moves_has_changed_since_the_frame_before() -> None:
    region = read_region("motion", INFO)
    still, moved = np.full((2, 54, 96), 100, np.uint8)
    moved[20:30, 40:50] = 200
    assert region.mask(frame(0, thumbnail=still), (54, 96)) is None
    assert region.mask(frame(1, thumbnail=still.copy()), (54, 96)) is None
    mask = region.mask(frame(2, thumbnail=moved), (54, 96))
    assert mask is not None
    assert mask[20:30, 40:50].all()
    assert not mask[:10].any()
    assert region.mask(frame(3, thumbnail=still, cut=True), (54, 96)) is None


BAD = [
    ("16,0,20,4", r"`roi` 16,0,20,4 is outside the picture, which is 16x8 pixels"),
    ("-4,0,0,4", r"is outside the picture"),
    ("-9,4,-1,-9,-2,-9", r"is outside the picture"),
    ("6,1,2,4", r"`roi` 6,1,2,4 is empty: a box is left, top, right and bottom edge"),
    ("1,1,1,1,1,1", "is empty"),
    ("1,2", "has 2 numbers; give a box LEFT,TOP,RIGHT,BOTTOM or a polygon"),
    ("1,2,3,4,5", "has 5 numbers"),
    ("border", r"`roi` 'border' is no region; give a box"),
    ("class:", "is no region"),
    ("missing.png", r"'missing\.png' cannot be read: No such file"),
    ("missing.jsonl", r"'missing\.jsonl' cannot be read: No such file"),
]


@pytest.mark.parametrize(("text", "says"), BAD, ids=[row[0] for row in BAD])
def test_what_is_no_region_is_refused_in_a_line(text: str, says: str) -> None:
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        read_region(text, INFO)
    assert "\n" not in str(raised.value)


FILES: list[tuple[str, Any, str]] = [
    ("boxes.jsonl", {"frame": 20, "box": [0, 0, 1, 1]}, r"boxes for frame 20, and .* has 20 frames, counted"),
    ("boxes.jsonl", {"frame": -1, "box": [0, 0, 1, 1]}, r"line 1: a frame is a whole number from 0, not -1"),
    ("boxes.jsonl", {"frame": 1, "box": [16, 0, 99, 1]}, r"line 1 is outside the picture"),
    ("boxes.jsonl", {"frame": 1, "box": [4, 4, 2, 5]}, r"line 1 is empty"),
    ("boxes.jsonl", {"frame": 1, "box": 5}, r"cannot be read: .*"),
    ("boxes.jsonl", {"frame": 1}, r"holds no boxes"),
    ("boxes.jsonl", [1, 2], r"holds no boxes"),
    ("boxes.json", {"images": []}, r"cannot be read: 'annotations'"),
    ("boxes.json", [], r"cannot be read"),
    ("boxes.json", {"images": [], "annotations": []}, r"holds no boxes"),
]


@pytest.mark.parametrize(("name", "content", "says"), FILES)
def test_files_that_do_not_fit_are_refused_in_a_line(
    tmp_path: Path, name: str, content: Any, says: str
) -> None:
    (tmp_path / name).write_text(json.dumps(content))
    with pytest.raises(InvalidArgumentError, match=says) as raised:
        read_region(str(tmp_path / name), INFO)
    assert "\n" not in str(raised.value)


def test_masks_of_another_shape_and_empty_ones_are_refused(tmp_path: Path) -> None:
    Image.new("L", (8, 8), 255).save(tmp_path / "square.png")
    with pytest.raises(InvalidArgumentError, match="8x8, which is not the shape of the frames, 16x8"):
        read_region(str(tmp_path / "square.png"), INFO)
    Image.new("L", (32, 16), 100).save(tmp_path / "dark.png")
    with pytest.raises(InvalidArgumentError, match="is empty: nothing in it is brighter"):
        read_region(str(tmp_path / "dark.png"), INFO)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InvalidArgumentError, match="cannot be read"):
        read_region(str(tmp_path / "text.png"), INFO)


def test_boxes_by_frame_go_with_the_whole_video(tmp_path: Path) -> None:
    path = coco(tmp_path / "boxes.json")
    with pytest.raises(
        InvalidArgumentError, match="counts the frames of the whole video; leave out `start_s`"
    ):
        read_region(str(path), dataclasses.replace(INFO, start_s=1.0))
