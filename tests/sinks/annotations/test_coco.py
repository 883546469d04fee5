"""COCO annotations, read back by the library of COCO's authors."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest
from annotated_frames import OUTSIDE, annotated, cat, dog
from media_factory import info_of
from pycocotools.coco import COCO

from streamcam.frames import SourceInfo
from streamcam.sinks import open_sink


def write(path: Path, info: SourceInfo | None = None) -> dict[str, Any]:
    """Write three frames: a cat and a dog, nothing, and a cat that is not certain."""
    with open_sink(path, info or info_of()) as sink:
        sink.write(annotated(0, cat(), dog(), OUTSIDE))
        sink.write(annotated(1))
        sink.write(annotated(2, cat(0.3, score=math.nan), of_heat=True))
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def test_annotations_are_what_can_be_worked_out_by_hand(tmp_path: Path) -> None:
    read = write(tmp_path / "boxes.json")
    assert read["categories"] == [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog & co"}]
    assert [(image["id"], image["file_name"], image["time_s"]) for image in read["images"]] == [
        (1, "frame_000000.png", 0),
        (2, "frame_000001.png", 0.1),
        (3, "frame_000002.png", 0.2),
    ]
    assert {(image["width"], image["height"]) for image in read["images"]} == {(200, 100)}
    first, second, third = read["annotations"]
    assert (first["bbox"], first["area"], first["track_id"], first["score"]) == (
        [20, 20, 80, 50],
        80 * 25,
        1,
        0.75,
    )
    (corners,) = first["segmentation"]
    assert (min(corners[::2]), max(corners[::2])) == (20.5, 99.5)
    assert (min(corners[1::2]), max(corners[1::2])) == (20.5, 44.5)
    assert (second["bbox"], second["category_id"]) == ([100, 70, 60, 30], 2)
    assert second["segmentation"] == [[100, 70, 160, 70, 160, 100, 100, 100]]
    assert (third["image_id"], third["category_id"], third["bbox"][0]) == (3, 1, 60)
    assert "score" not in third


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
def test_pycocotools_reads_it(tmp_path: Path) -> None:
    write(tmp_path / "boxes.json")
    with contextlib.redirect_stdout(io.StringIO()):
        read = COCO(str(tmp_path / "boxes.json"))
    assert sorted(read.getImgIds()) == [1, 2, 3]
    (cat_id,) = read.getCatIds(catNms=["cat"])
    found = read.loadAnns(read.getAnnIds(imgIds=[1], catIds=[cat_id]))
    mask = read.annToMask(found[0])
    assert mask.shape == (100, 200)
    assert mask.sum() == pytest.approx(80 * 25, rel=0.06)
    assert mask[21:44, 21:99].all()
    assert read.getAnnIds(imgIds=[2]) == []


def test_images_of_a_folder_have_their_own_names(tmp_path: Path) -> None:
    files = tuple(Path(f"photo{number}.jpg") for number in (3, 7, 8))
    read = write(tmp_path / "boxes.json", dataclasses.replace(info_of(), files=files))
    assert [image["file_name"] for image in read["images"]] == ["photo3.jpg", "photo7.jpg", "photo8.jpg"]


def test_a_video_without_objects_has_no_annotations(tmp_path: Path) -> None:
    with open_sink(tmp_path / "boxes.json", info_of()) as sink:
        sink.write(annotated(0))
    read = json.loads((tmp_path / "boxes.json").read_text())
    assert (read["annotations"], read["categories"], len(read["images"])) == ([], [], 1)
