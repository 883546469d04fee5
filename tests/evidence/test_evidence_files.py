"""Evidence files: what a render kept of its frames, read without the network."""

from __future__ import annotations

import dataclasses
import io
import math
import os
import signal
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from media_factory import info_of, make_clip, make_image, names_in, overwrite_bytes
from PIL import Image
from stage_fakes import CAT, DOG, FakeExplainer, explanation_of
from video_runs import limited_file_size, render_with

import streamcam
from streamcam.errors import (
    InvalidArgumentError,
    SinkError,
    SourceError,
    SourceNotFoundError,
    UnknownNameError,
)
from streamcam.evidence import Evidence, open_evidence
from streamcam.explanations import (
    Explanation,
    HeatInside,
    Localization,
    Prediction,
    RenderedFrame,
    StabilizedFrame,
)
from streamcam.frames import Frame
from streamcam.sinks import EvidenceSink, open_evidence_sink


def rendered(explanation: Explanation) -> RenderedFrame:
    index = explanation.frame_index
    frame = Frame(make_image(64, 48), index, 2 * index, Fraction(1, 50), 0.0, 2)
    return RenderedFrame(
        frame.image, frame.pts, frame.time_base, StabilizedFrame(frame, {}, (), (), explanation), 2
    )


def with_probabilities(index: int) -> Explanation:
    row = np.array([0.25, 0.75, index / 1000], np.float32)
    return dataclasses.replace(explanation_of(index), probabilities=row)


def started(folder: Path) -> EvidenceSink:
    sink = open_evidence_sink(folder / "kept.h5", info_of(size=(64, 48)), overwrite=False)
    sink.describe({"model": "fake"})
    sink.identify({"weights": "none"}, {"temporal": {"every": 1}}, ["rat", "cat", "dog"])
    return sink


def written(folder: Path, explanations: list[Explanation], *, cut_short: bool = False) -> Evidence:
    sink = started(folder)
    for explanation in explanations:
        sink.write(rendered(explanation))
    sink.conclude({"notes": ["all is well"], "elapsed_s": 2.5})
    assert names_in(folder) in (["kept.h5.part"], [])
    sink.finish(cut_short=cut_short)
    assert names_in(folder) == ["kept.h5"]
    return streamcam.open_evidence(folder / "kept.h5")


def test_arrays_have_a_row_for_each_frame(tmp_path: Path) -> None:
    with written(tmp_path, [with_probabilities(index) for index in range(70)]) as evidence:
        assert len(evidence) == 70
        assert evidence.times_s == pytest.approx(np.arange(70) / 25)
        assert evidence.pts.tolist() == list(range(0, 140, 2))
        assert evidence.heatmaps.shape == (70, 2, 3)
        assert evidence.heatmaps[69].tolist() == [[69, 70, 71], [72, 73, 74]]
        assert evidence.probabilities.dtype == np.float32
        np.testing.assert_allclose(evidence.probabilities[40], [0.25, 0.75, 0.04], atol=1e-6)
        assert evidence.labels == ("rat", "cat", "dog")
        assert evidence.header["run"] == {"model": "fake"}
        assert evidence.header["settings"] == {"temporal": {"every": 1}}
        assert (evidence.notes, evidence.outcome) == (("all is well",), {"elapsed_s": 2.5})
        assert evidence.is_complete
        assert [one.frame_index for one in evidence.explanations(30, 40)] == list(range(30, 40))


def test_other_programs_read_the_arrays(tmp_path: Path) -> None:
    written(tmp_path, [with_probabilities(index) for index in range(40)]).close()
    with h5py.File(tmp_path / "kept.h5") as file:
        assert file["heatmaps/2x3"].shape == (40, 2, 3)
        assert file["heatmaps/2x3"][7, 1, 2] == 12
        probabilities = file["probabilities/3"]
        assert probabilities[7, 2] * probabilities.attrs["scale_factor"] == pytest.approx(0.007)
        assert file["times_s"][25] == pytest.approx(1)


def test_frames_that_were_skipped_are_nan(tmp_path: Path) -> None:
    explanations = [with_probabilities(index) for index in range(4)]
    explanations[1] = dataclasses.replace(
        explanations[1], heatmaps={}, targets=(), predictions=(), probabilities=None
    )
    with written(tmp_path, explanations) as evidence:
        assert evidence.is_explained.tolist() == [True, False, True, True]
        assert np.isnan(evidence.heatmaps).all(axis=(1, 2)).tolist() == [False, True, False, False]
        assert np.isnan(evidence.probabilities).all(axis=1).tolist() == [False, True, False, False]
        assert evidence.heatmaps[2, 0, 0] == 2


def test_each_class_has_its_maps(tmp_path: Path) -> None:
    both = dataclasses.replace(
        explanation_of(0),
        heatmaps={CAT: np.full((2, 3), 1, np.float32), DOG: np.full((2, 3), 2, np.float32)},
        targets=(Prediction(CAT, "house cat", 0.5), Prediction(DOG, "dog", 0.25)),
    )
    with written(tmp_path, [both, explanation_of(1)]) as evidence:
        assert [one.label for one in evidence.classes] == ["house cat", "dog"]
        assert evidence.heatmaps_of("dog")[0, 0, 0] == evidence.heatmaps_of(DOG)[0, 0, 0] == 2
        assert np.isnan(evidence.heatmaps_of("dog")[1]).all()
        assert evidence.heatmaps_of("cat")[1].tolist() == [[1, 2, 3], [4, 5, 6]]
        with pytest.raises(UnknownNameError, match=r"'horse'.*dog, house cat"):
            evidence.heatmaps_of("horse")


def test_maps_of_several_shapes_come_frame_by_frame(tmp_path: Path) -> None:
    large = dataclasses.replace(explanation_of(1), heatmaps={CAT: np.full((4, 5), 7, np.float32)})
    explanations = [large if 33 <= index < 36 else explanation_of(index) for index in range(70)]
    with written(tmp_path, explanations) as evidence:
        read = list(evidence.explanations())
        assert [one.heatmaps[CAT].shape for one in read[32:37]] == [(2, 3), *[(4, 5)] * 3, (2, 3)]
        assert read[69].heatmaps[CAT][0, 0] == 69
        with pytest.raises(SourceError, match="several shapes"):
            _ = evidence.heatmaps


def test_probabilities_that_are_none_are_nan(tmp_path: Path) -> None:
    broken = np.array([math.nan, math.inf, 0.5], np.float32)
    with written(tmp_path, [dataclasses.replace(explanation_of(0), probabilities=broken)]) as evidence:
        np.testing.assert_array_equal(evidence.probabilities, [[math.nan, math.nan, np.float32(0.5)]])


def test_values_of_a_regressor_are_exact(tmp_path: Path) -> None:
    answer = Prediction.of(0, "value", -123.456, is_value=True)
    values = np.array([-123.456, 1e6, 0], np.float32)
    explanation = dataclasses.replace(explanation_of(0), predictions=(answer,), probabilities=values)
    with written(tmp_path, [explanation]) as evidence:
        np.testing.assert_array_equal(evidence.probabilities, values[None])


def test_thumbnails_are_kept_every_second_and_at_cuts(tmp_path: Path) -> None:
    explanations = [dataclasses.replace(explanation_of(i), starts_shot=i == 30) for i in range(60)]
    with written(tmp_path, explanations) as evidence:
        thumbnails = dict(evidence.thumbnails())
        assert list(thumbnails) == [0, 25, 30, 55]
        assert Image.open(io.BytesIO(thumbnails[30])).size == (64, 48)


def test_views_for_pandas_and_xarray(tmp_path: Path) -> None:
    with written(tmp_path, [with_probabilities(index) for index in range(3)]) as evidence:
        table = evidence.to_pandas()
        assert table["label"].tolist() == ["cat"] * 3
        assert table["peak"].tolist() == [5, 6, 7]
        data = evidence.to_xarray()
        assert data["heatmaps"].dims == ("time", "y", "x")
        assert float(data["probabilities"].sel({"class": "dog"})[2]) == pytest.approx(0.002)


def test_evidence_cut_short_says_so(tmp_path: Path) -> None:
    with written(tmp_path, [explanation_of(0)], cut_short=True) as evidence:
        assert not evidence.is_complete


# --- bad files --------------------------------------------------------------------------------------------


def test_a_writer_that_is_killed_leaves_all_but_the_last_frames(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from pathlib import Path
from test_evidence_files import explanation_of, rendered, started
sink = started(Path(sys.argv[1]))
for index in range(100):
    sink.write(rendered(explanation_of(index)))
os.kill(os.getpid(), signal.SIGKILL)
"""
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    with open_evidence(tmp_path / "kept.h5.part") as evidence:
        assert len(evidence) == 96
        assert evidence.heatmaps[95, 0, 0] == 95
        assert not evidence.is_complete
        evidence.check()


def test_what_a_killed_writer_left_may_be_cut_too(tmp_path: Path) -> None:
    sink = started(tmp_path)
    for index in range(96):
        sink.write(rendered(explanation_of(index)))
    left = tmp_path / "left.h5"
    content = (tmp_path / "kept.h5.part").read_bytes()  # as it is now, unfinished
    sink.abort()
    left.write_bytes(content)
    with open_evidence(left) as evidence:
        assert len(evidence) == 96
    left.write_bytes(content[: len(content) // 2])
    with pytest.raises(SourceError, match=r"'.*left.h5' is cut or damaged"):
        open_evidence(left).check()


def test_files_that_are_no_evidence_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="there is no file"):
        open_evidence(tmp_path / "missing.h5")
    (tmp_path / "text.h5").write_text("hello")
    with pytest.raises(InvalidArgumentError, match=r"'.*text.h5' is not an evidence file"):
        open_evidence(tmp_path / "text.h5")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = 1
    with pytest.raises(InvalidArgumentError, match="of another program"):
        open_evidence(tmp_path / "other.h5")


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [explanation_of(0)]).close()
    with h5py.File(tmp_path / "kept.h5", "r+") as file:
        file.attrs["version"] = 2
        file.attrs["streamcam"] = "9.1"
    with pytest.raises(SourceError, match=r"newer streamcam \(9.1\); update"):
        open_evidence(tmp_path / "kept.h5")


def test_a_file_that_is_cut_is_refused(tmp_path: Path) -> None:
    written(tmp_path, [explanation_of(index) for index in range(40)]).close()
    path = tmp_path / "kept.h5"
    os.truncate(path, path.stat().st_size * 2 // 3)
    with pytest.raises(SourceError, match=r"'.*kept.h5' is cut or damaged"):
        open_evidence(path)


def test_damage_is_found(tmp_path: Path) -> None:
    written(tmp_path, [explanation_of(index) for index in range(40)]).close()
    with h5py.File(tmp_path / "kept.h5") as file:
        chunk = file["heatmaps/2x3"].id.get_chunk_info(0)
    overwrite_bytes(tmp_path / "kept.h5", chunk.byte_offset + chunk.size // 2, 8)
    with (
        open_evidence(tmp_path / "kept.h5") as evidence,
        pytest.raises(SourceError, match=r"'.*kept.h5' is cut or damaged"),
    ):
        evidence.check()


def test_a_disk_that_is_full_is_one_error(tmp_path: Path) -> None:
    sink = started(tmp_path)

    def fill() -> None:
        for index in range(3000):
            sink.write(rendered(with_probabilities(index)))

    with pytest.raises(SinkError, match=r"'.*kept.h5' cannot be written"), limited_file_size(100_000):
        fill()
    with open_evidence(tmp_path / "kept.h5.part") as evidence:  # as it was before
        assert len(evidence) >= 32
        evidence.check()
    sink.abort()
    assert names_in(tmp_path) == []


def test_closed_evidence_says_so(tmp_path: Path) -> None:
    evidence = written(tmp_path, [explanation_of(0)])
    evidence.close()
    with pytest.raises(InvalidArgumentError, match="is closed"):
        evidence.check()


# --- renders ----------------------------------------------------------------------------------------------


def test_a_render_keeps_evidence(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=10)
    render_with(clip, tmp_path / "out.mp4", FakeExplainer(batch_size=3), evidence=tmp_path / "kept.h5")
    with open_evidence(tmp_path / "kept.h5") as evidence:
        assert len(evidence) == 10
        assert [one.heatmaps[CAT][0, 0] for one in evidence.explanations()] == list(range(10))
        assert evidence.header["run"]["model"] == "fake"
        assert evidence.header["input"]["bytes"] == clip.stat().st_size
        assert evidence.header["settings"]["overlay"]["colormap"] == "turbo"
        assert evidence.outcome["elapsed_s"] > 0


@pytest.mark.parametrize("name", ["out.mp4", "maps.jsonl"])
def test_evidence_has_a_file_of_its_own(tmp_path: Path, name: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=2)
    with pytest.raises(InvalidArgumentError, match=r"the evidence '.*' is the (output|sidecar) itself"):
        render_with(
            clip,
            tmp_path / "out.mp4",
            FakeExplainer(),
            sidecar=tmp_path / "maps.jsonl",
            evidence=tmp_path / name,
        )


def test_reading_needs_no_network_and_no_video(tmp_path: Path) -> None:
    written(tmp_path, [explanation_of(0)]).close()
    program = (
        "import sys, streamcam; streamcam.open_evidence(sys.argv[1]).heatmaps;"
        "print([name for name in ('torch', 'torchvision', 'openvino', 'av', 'cv2') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "kept.h5")], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_share_of_the_heat_inside_a_region_is_kept(tmp_path: Path) -> None:
    sink = open_evidence_sink(tmp_path / "kept.h5", info_of(), overwrite=False)
    sink.identify({}, {}, ["cat"])
    mask = np.ones((1, 1), np.bool_)
    for index, inside in enumerate([HeatInside(mask, 0.25, {CAT: 0.75}), HeatInside(mask, 0.5, {}), None]):
        frame = rendered(with_probabilities(index))
        assert frame.stabilized is not None
        stabilized = dataclasses.replace(frame.stabilized, localization=Localization(inside=inside))
        sink.write(dataclasses.replace(frame, stabilized=stabilized))
    sink.finish()
    with streamcam.open_evidence(tmp_path / "kept.h5") as evidence:
        np.testing.assert_array_equal(evidence.roi_shares, [[0.75, 0.25], [np.nan, 0.5], [np.nan, np.nan]])


def test_evidence_from_before_there_were_regions_is_read(tmp_path: Path) -> None:
    written(tmp_path, [with_probabilities(index) for index in range(3)]).close()
    with h5py.File(tmp_path / "kept.h5", "a") as file:
        del file["roi"]
    with streamcam.open_evidence(tmp_path / "kept.h5") as evidence:
        assert len(evidence) == 3
        assert np.isnan(evidence.roi_shares).all()
