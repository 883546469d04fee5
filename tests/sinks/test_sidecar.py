from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import make_image, names_in
from video_runs import limited_file_size

from streamcam.errors import SinkError
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import Frame, Region
from streamcam.sinks import SidecarWriter
from streamcam.sinks.sidecar import frame_record

CAT, DOG = Prediction(3, "cat", 2 / 3), Prediction(5, "Hund & Tür", 0.123456)
HEATMAP = np.array([[0, 1, 0.333333], [123456, 1e-9, 2]], np.float32)


def frame(index: int = 1, pts: int = 1001) -> Frame:
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


def test_a_sidecar_is_a_header_and_a_line_a_frame(tmp_path: Path) -> None:
    path = tmp_path / "maps.jsonl"
    writer = SidecarWriter(path, {"model": "résnet", "width": 64})
    writer.write(frame(), explanation())
    assert names_in(tmp_path) == ["maps.jsonl.part"]
    writer.finish()
    assert names_in(tmp_path) == ["maps.jsonl"]
    assert path.read_bytes().decode() == (
        '{"model": "résnet", "width": 64}\n'
        '{"frame": 1, "time_s": 0.033367, "predictions": ['
        '{"index": 3, "label": "cat", "probability": 0.6667}, '
        '{"index": 5, "label": "Hund & Tür", "probability": 0.1235}], '
        '"target": {"index": 3, "label": "cat"}, '
        '"heatmap": {"shape": [2, 3], "max": 123500.0, "values": [0.0, 1.0, 0.3333, 123500.0, 1e-09, 2.0]}, '
        '"method": "hirescam", "target_layer": "layer4", "region": [0, -0.333333, 1, 1.333333]}\n'
    )


def test_the_maps_of_more_classes_come_after() -> None:
    both = explanation(heatmaps={3: HEATMAP, 5: HEATMAP * 2}, targets=(CAT, DOG))
    record = frame_record(frame(), both)
    assert record["target"] == {"index": 3, "label": "cat"}
    assert [other["target"]["index"] for other in record["more"]] == [5]
    assert record["more"][0]["heatmap"]["values"][1] == 2.0


def test_steadied_labels_and_cuts_stand_beside_what_is_raw() -> None:
    stabilized = Prediction(5, "Hund & Tür", 0.123456)
    record = frame_record(frame(), explanation(smoothed_predictions=(stabilized,), starts_shot=True))
    assert record["shown"] == [{"index": 5, "label": "Hund & Tür", "probability": 0.1235}]
    assert record["predictions"][0]["index"] == 3
    assert record["cut"] is True
    assert not {"shown", "cut"} & frame_record(frame(), explanation()).keys()


def test_a_frame_that_was_left_out_has_its_number_and_time() -> None:
    nothing = explanation(heatmaps={}, targets=(), predictions=())
    assert frame_record(frame(), nothing) == {"frame": 1, "time_s": 0.033367}


def test_every_line_is_json(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {})
    for index in range(3):
        writer.write(frame(index, index), explanation())
    writer.finish()
    lines = (tmp_path / "maps.jsonl").read_text().splitlines()
    assert [json.loads(line).get("frame") for line in lines] == [None, 0, 1, 2]


def test_values_keep_four_digits() -> None:
    values = np.geomspace(1e-6, 1e6, 50, dtype=np.float32).reshape(5, 10)
    found = frame_record(frame(), explanation(values))["heatmap"]["values"]
    np.testing.assert_allclose(found, values.ravel(), rtol=5e-4)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_values_that_are_no_numbers_are_refused(value: float, tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {})
    with pytest.raises(SinkError, match=r"maps.jsonl' cannot hold frame 1"):
        writer.write(frame(), explanation(np.array([[value]], np.float32)))
    writer.abort()
    assert names_in(tmp_path) == []


def test_a_header_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot hold its header"):
        SidecarWriter(tmp_path / "maps.jsonl", {"value": math.nan})
    assert names_in(tmp_path) == []


def test_an_aborted_sidecar_leaves_nothing(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {})
    writer.write(frame(), explanation())
    writer.abort()
    writer.abort()
    assert names_in(tmp_path) == []
    with pytest.raises(SinkError, match=r"is closed already"):
        writer.write(frame(), explanation())


def test_aborting_a_finished_sidecar_leaves_it(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {})
    writer.finish()
    writer.finish()
    writer.abort()
    assert names_in(tmp_path) == ["maps.jsonl"]


def test_a_missing_directory_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match=r"cannot be written: No such file or directory"):
        SidecarWriter(tmp_path / "nowhere" / "maps.jsonl", {})


def test_a_full_disk_is_noticed_and_leaves_nothing(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {})
    large = explanation(np.ones((200, 200), np.float32))
    with limited_file_size(1000):
        with pytest.raises(SinkError, match=r"maps.jsonl' cannot be written: File too large"):
            writer.write(frame(), large)
        writer.abort()
    assert names_in(tmp_path) == []


def test_a_disk_that_is_full_at_the_end_is_noticed_too(tmp_path: Path) -> None:
    writer = SidecarWriter(tmp_path / "maps.jsonl", {"model": "x" * 2000})
    with limited_file_size(1000), pytest.raises(SinkError, match=r"cannot be completed"):
        writer.finish()
    assert names_in(tmp_path) == []
