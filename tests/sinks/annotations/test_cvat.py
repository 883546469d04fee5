"""CVAT's annotations of a video."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from annotated_frames import OUTSIDE, annotated, cat, dog
from media_factory import info_of

from streamcam.explanations import RenderedFrame
from streamcam.sinks import open_sink


def read(folder: Path, *frames: RenderedFrame) -> ElementTree.Element:
    with open_sink(folder / "boxes.xml", info_of()) as sink:
        for frame in frames:
            sink.write(frame)
    return ElementTree.parse(folder / "boxes.xml").getroot()


def boxes_of(track: ElementTree.Element) -> list[tuple[int, list[float], bool]]:
    """Frame, edges, and whether the object is outside, of every box."""
    return [
        (
            int(box.attrib["frame"]),
            [float(box.attrib[edge]) for edge in ("xtl", "ytl", "xbr", "ybr")],
            box.attrib["outside"] == "1",
        )
        for box in track.findall("box")
    ]


def test_an_object_has_one_track_and_is_outside_where_it_is_not_found(tmp_path: Path) -> None:
    root = read(
        tmp_path,
        annotated(0, cat(), OUTSIDE),
        annotated(1, dog(), cat(0.2)),
        annotated(2),
        annotated(3, cat(0.3), of_heat=True),
    )
    first, second = root.findall("track")
    assert (first.attrib["label"], second.attrib["label"]) == ("cat", "dog & co")
    assert boxes_of(first) == [
        (0, [20, 20, 100, 70], False),
        (1, [40, 20, 120, 70], False),
        (2, [40, 20, 120, 70], True),
        (3, [60, 20, 140, 70], False),
    ]
    assert boxes_of(second) == [(1, [100, 70, 160, 100], False), (2, [100, 70, 160, 100], True)]
    assert root.findtext("version") == "1.1"
    assert [name.text for name in root.findall("meta/task/labels/label/name")] == ["cat", "dog & co"]
    assert (root.findtext("meta/task/size"), root.findtext("meta/task/stop_frame")) == ("4", "3")
    assert root.findtext("meta/task/original_size/width") == "200"


def test_a_track_has_the_label_that_its_boxes_have_most_often(tmp_path: Path) -> None:
    root = read(tmp_path, annotated(0, dog(track=1)), annotated(1, cat()), annotated(2, cat()))
    (track,) = root.findall("track")
    assert track.attrib["label"] == "cat"


def test_objects_without_numbers_are_told_apart_by_class_and_order(tmp_path: Path) -> None:
    pair = (cat(track=None), cat(0.5, track=None), dog(track=None))
    root = read(tmp_path, annotated(0, *pair), annotated(1, *pair))
    assert [len(boxes_of(track)) for track in root.findall("track")] == [2, 2, 2]
    assert [track.attrib["label"] for track in root.findall("track")] == ["cat", "cat", "dog & co"]
