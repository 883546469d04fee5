from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_factory import info_of, make_image, names_in
from video_runs import limited_file_size

import streamcam
from streamcam.errors import SinkError
from streamcam.explanations import (
    Explanation,
    HeatBox,
    HeatInside,
    HeatPeak,
    Instance,
    Localization,
    Prediction,
    RenderedFrame,
    StabilizedFrame,
)
from streamcam.frames import Frame, Region
from streamcam.sinks import SidecarSink, open_sidecar_sink
from streamcam.sinks.shapes import pixel_mask, pixel_polygons
from streamcam.sinks.sidecar import frame_record

CAT, DOG = Prediction(3, "cat", 2 / 3), Prediction(5, "Hund & Tür", 0.123456)
HEATMAP = np.array([[0, 1, 0.333333], [123456, 1e-9, 2]], np.float32)


def new_frame(index: int = 1, pts: int = 1001) -> Frame:
    return Frame(make_image(16, 16), index, pts, Fraction(1, 30000), 0.0)


def explanation(heatmap: np.ndarray = HEATMAP, **others: object) -> Explanation:  # type: ignore[type-arg]
    given = {
        "heatmaps": {3: heatmap},
        "targets": (CAT,),
        "predictions": (CAT, DOG),
        "region": Region(0, -1 / 3, 1, 4 / 3),
        **others,
    }
    return Explanation(frame_index=1, method="hirescam", target_layer="layer4", **given)  # type: ignore[arg-type]


def explained(explanation: Explanation, frame: Frame | None = None) -> RenderedFrame:
    frame = frame or new_frame()
    stabilized = StabilizedFrame(frame, {}, (), (), explanation)
    return RenderedFrame(frame.image, frame.pts, frame.time_base, stabilized)


def open_sidecar(folder: Path, run: dict[str, object] | None = None) -> SidecarSink:
    sink = open_sidecar_sink(folder / "maps.jsonl", info_of(), overwrite=False)
    sink.describe(run or {})
    return sink


def record_of(explanation: Explanation) -> dict[str, Any]:
    frame = new_frame()
    return frame_record(frame.index, frame.time_s, explanation)


def test_a_sidecar_is_a_header_and_a_line_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "maps.jsonl"
    writer = open_sidecar(tmp_path, {"model": "résnet"})
    writer.write(explained(explanation()))
    assert names_in(tmp_path) == ["maps.jsonl.part"]
    writer.finish()
    assert names_in(tmp_path) == ["maps.jsonl"]
    assert path.read_bytes().decode() == (
        f'{{"streamcam": "{streamcam.__version__}", "model": "résnet", '
        '"input": "made up", "width": 64, "height": 48}\n'
        '{"frame": 1, "time_s": 0.033367, "predictions": ['
        '{"index": 3, "label": "cat", "probability": 0.6667}, '
        '{"index": 5, "label": "Hund & Tür", "probability": 0.1235}], '
        '"target": {"index": 3, "label": "cat"}, '
        '"heatmap": {"shape": [2, 3], "max": 123500.0, "values": [0.0, 1.0, 0.3333, 123500.0, 1e-09, 2.0]}, '
        '"method": "hirescam", "target_layer": "layer4", "region": [0, -0.333333, 1, 1.333333]}\n'
    )


def test_the_maps_of_more_classes_come_after() -> None:
    both = explanation(heatmaps={3: HEATMAP, 5: HEATMAP * 2}, targets=(CAT, DOG))
    record = record_of(both)
    assert record["target"] == {"index": 3, "label": "cat"}
    assert [other["target"]["index"] for other in record["more"]] == [5]
    assert record["more"][0]["heatmap"]["values"][1] == 2.0


def test_steadied_labels_and_cuts_stand_beside_what_is_raw() -> None:
    stabilized = Prediction(5, "Hund & Tür", 0.123456)
    record = record_of(explanation(smoothed_predictions=(stabilized,), starts_shot=True))
    assert record["shown"] == [{"index": 5, "label": "Hund & Tür", "probability": 0.1235}]
    assert record["predictions"][0]["index"] == 3
    assert record["cut"] is True
    assert not {"shown", "cut"} & record_of(explanation()).keys()


def test_instances_have_boxes_masks_and_tracks() -> None:
    mask = np.array([[True, False], [True, True], [False, True]])
    seen = (
        Instance(3, "cat", 0.98765, (0.1, 0.2, 1 / 3, 0.5)),
        Instance(5, "dog", 0.5, (0, 0, 1, 1), mask, track_id=7),
    )
    assert record_of(explanation(instances=seen))["instances"] == [
        {"index": 3, "label": "cat", "score": 0.9877, "box": [0.1, 0.2, 0.333333, 0.5]},
        {
            "index": 5,
            "label": "dog",
            "score": 0.5,
            "box": [0, 0, 1, 1],
            # Down the columns: none outside, two inside, two outside, two inside.
            "mask": {"size": [3, 2], "counts": [0, 2, 2, 2]},
            "track": 7,
        },
    ]
    assert "instances" not in record_of(explanation())


def test_a_frame_with_nothing_drawn_on_it_has_its_number_and_time(tmp_path: Path) -> None:
    with open_sidecar(tmp_path) as writer:
        for index in (0, 1):
            writer.write(RenderedFrame(make_image(16, 16), index, Fraction(1, 25)))
    lines = (tmp_path / "maps.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines[1:]] == [
        {"frame": 0, "time_s": 0.0},
        {"frame": 1, "time_s": 0.04},
    ]


def test_a_frame_that_was_left_out_has_its_number_and_time() -> None:
    nothing = explanation(heatmaps={}, targets=(), predictions=())
    assert record_of(nothing) == {"frame": 1, "time_s": 0.033367}


def test_every_line_is_json(tmp_path: Path) -> None:
    writer = open_sidecar(tmp_path)
    for index in range(3):
        writer.write(explained(explanation(), new_frame(index, index)))
    writer.finish()
    lines = (tmp_path / "maps.jsonl").read_text().splitlines()
    assert [json.loads(line).get("frame") for line in lines] == [None, 0, 1, 2]


def test_values_keep_four_digits() -> None:
    values = np.geomspace(1e-6, 1e6, 50, dtype=np.float32).reshape(5, 10)
    found = record_of(explanation(values))["heatmap"]["values"]
    np.testing.assert_allclose(found, values.ravel(), rtol=5e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_null(value: float, tmp_path: Path) -> None:
    cat, box = Prediction(3, "cat", value), Instance(3, "cat", value, (0.0, 0.0, value, 1.0))
    with open_sidecar(tmp_path) as writer:
        writer.write(explained(explanation(predictions=(cat,), instances=(box,), flags={3: "not finite"})))
        writer.finish()
    _, line = (tmp_path / "maps.jsonl").read_text().splitlines()
    record = json.loads(line, parse_constant=pytest.fail)
    assert record["predictions"][0]["probability"] is None
    assert record["instances"][0]["score"] is None
    assert record["instances"][0]["box"] == [0.0, 0.0, None, 1.0]
    assert record["empty"] == "not finite"


def test_a_header_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with (
        pytest.raises(SinkError, match=r"cannot hold its header"),
        open_sidecar(tmp_path, {"value": math.nan}) as writer,
    ):
        writer.write(explained(explanation()))
    assert names_in(tmp_path) == []


def test_an_aborted_sidecar_leaves_nothing(tmp_path: Path) -> None:
    writer = open_sidecar(tmp_path)
    writer.write(explained(explanation()))
    writer.abort()
    writer.abort()
    assert names_in(tmp_path) == []
    with pytest.raises(SinkError, match=r"is closed already"):
        writer.write(explained(explanation()))


def test_aborting_a_finished_sidecar_leaves_it(tmp_path: Path) -> None:
    writer = open_sidecar(tmp_path)
    writer.write(explained(explanation()))
    writer.finish()
    writer.finish()
    writer.abort()
    assert names_in(tmp_path) == ["maps.jsonl"]


def test_a_missing_directory_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot be written: No such file or directory"):
        open_sidecar(tmp_path / "nowhere")


def test_a_full_disk_is_noticed_and_leaves_nothing(tmp_path: Path) -> None:
    writer = open_sidecar(tmp_path)
    large = explanation(np.ones((200, 200), np.float32))
    with limited_file_size(1000):
        with pytest.raises(SinkError, match=r"maps.jsonl' cannot be written: File too large"):
            writer.write(explained(large))
        writer.abort()
    assert names_in(tmp_path) == []


def test_a_disk_that_is_full_at_the_end_is_noticed_too(tmp_path: Path) -> None:
    writer = open_sidecar(tmp_path, {"model": "x" * 2000})
    writer.write(explained(explanation()))
    with limited_file_size(1000), pytest.raises(SinkError, match=r"cannot be completed"):
        writer.finish()
    assert names_in(tmp_path) == []


# --- where the heat lies -------------------------------------------------------------------------------


def test_boxes_and_points_are_in_pixels_of_the_frame(tmp_path: Path) -> None:
    """On 200x100: a box whose right half belongs to the heat, of a frame that was not explained itself."""
    mask = np.array([[False, True]] * 2)
    box = HeatBox(3, Instance(3, "cat", 0.7, (0.1, 0.2, 0.5, 1.2), mask, track_id=4), 0.81239)
    found = Localization((box,), (HeatPeak(3, "cat", 0.25, 0.505, 0.98765),))
    frame = Frame(make_image(200, 100), 1, 1001, Fraction(1, 30000), 0.0)
    skipped = Explanation(1, {}, (), (), "", "", Region())
    stabilized = StabilizedFrame(frame, {}, (), (), skipped, localization=found)
    with open_sidecar(tmp_path) as writer:
        writer.write(RenderedFrame(make_image(400, 100), 1001, Fraction(1, 30000), stabilized))
    record = json.loads((tmp_path / "maps.jsonl").read_text().splitlines()[1])
    (written,) = record["heat_boxes"]
    (polygon,) = written.pop("polygons")
    assert written == {"index": 3, "label": "cat", "track": 4, "box": [20, 20, 100, 100], "share": 0.8124}
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    assert (min(xs), max(xs), min(ys), max(ys)) == (60.5, 99.5, 20.5, 99.5)
    assert record["points"] == [{"label": "cat", "x": 50, "y": 50.5, "heat": 0.9877}]


def test_an_object_without_a_mask_has_its_box_as_a_polygon() -> None:
    one = Instance(3, "cat", 0.7, (0.1, 0.2, 0.5, 1.2))
    assert pixel_polygons(one, (200, 100)) == [[[20, 20], [100, 20], [100, 100], [20, 100]]]
    assert pixel_mask(one, (200, 100)).sum() == 80 * 80


def test_an_object_outside_the_frame_has_no_pixels() -> None:
    assert not pixel_mask(Instance(3, "cat", 0.7, (1.1, 0.2, 1.5, 0.4), MASK), (200, 100)).any()
    assert not pixel_mask(Instance(3, "cat", 0.7, (0.5, 0.2, 0.5, 0.4), MASK), (200, 100)).any()


MASK = np.ones((2, 2), np.bool_)


def test_the_share_inside_a_region_is_written_for_every_target(tmp_path: Path) -> None:
    inside = HeatInside(MASK, 0.25, {3: 0.87654, 5: 0.5})
    frame = new_frame()
    stabilized = StabilizedFrame(
        frame, {}, (CAT, DOG), (), explanation(), localization=Localization(inside=inside)
    )
    with open_sidecar(tmp_path) as writer:
        writer.write(RenderedFrame(frame.image, frame.pts, frame.time_base, stabilized))
    record = json.loads((tmp_path / "maps.jsonl").read_text(encoding="utf-8").splitlines()[1])
    heat = [{"label": "cat", "inside": 0.8765}, {"label": "Hund & Tür", "inside": 0.5}]
    assert record["roi"] == {"area": 0.25, "heat": heat}
