"""YOLO labels, read back by supervision."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from annotated_frames import OUTSIDE, SIZE, annotated, cat, dog
from media_factory import info_of, names_in
from PIL import Image

from streamcam.errors import InvalidArgumentError, OutputExistsError
from streamcam.media.encoders import EncoderSettings
from streamcam.sinks import open_sink


def write(folder: Path, *, overwrite: bool = False) -> None:
    with open_sink(folder / "%05d.txt", info_of(), overwrite=overwrite) as sink:
        sink.write(annotated(0, cat(), dog(), OUTSIDE))
        sink.write(annotated(1))
        sink.write(annotated(2, dog(0.2), of_heat=True))


def test_a_line_is_a_class_and_a_box_in_fractions(tmp_path: Path) -> None:
    write(tmp_path)
    assert names_in(tmp_path) == ["00001.txt", "00002.txt", "00003.txt", "classes.txt"]
    assert (tmp_path / "00001.txt").read_text() == "0 0.3 0.45 0.4 0.5\n1 0.65 0.85 0.3 0.3\n"
    assert (tmp_path / "00002.txt").read_text() == ""
    assert (tmp_path / "00003.txt").read_text() == "1 0.35 0.85 0.3 0.3\n"
    assert (tmp_path / "classes.txt").read_text() == "cat\ndog & co\n"


def test_supervision_reads_it(tmp_path: Path) -> None:
    import supervision  # only here: it imports matplotlib

    (tmp_path / "labels").mkdir()
    (tmp_path / "images").mkdir()
    write(tmp_path / "labels")
    for number in (1, 2, 3):
        Image.new("RGB", SIZE).save(tmp_path / "images" / f"{number:05d}.png")
    names = (tmp_path / "labels" / "classes.txt").read_text().splitlines()
    (tmp_path / "data.yaml").write_text(f"names: {names}\n")
    read = supervision.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml")
    )
    found = read.annotations[str(tmp_path / "images" / "00001.png")]
    np.testing.assert_allclose(found.xyxy, [[20, 20, 100, 70], [100, 70, 160, 100]], atol=0.01)
    assert found.class_id.tolist() == [0, 1]
    assert len(read.annotations[str(tmp_path / "images" / "00002.png")]) == 0


def test_labels_and_classes_that_are_there_are_not_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("mine\n")
    with pytest.raises(OutputExistsError, match=r"classes\.txt' exists already"):
        write(tmp_path)
    assert names_in(tmp_path) == ["classes.txt"]
    write(tmp_path, overwrite=True)
    write(tmp_path, overwrite=True)
    (tmp_path / "classes.txt").unlink()
    with pytest.raises(OutputExistsError, match=r"00001\.txt' exists already"):
        write(tmp_path)


def test_settings_of_videos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="stands for many files: they have no `codec`"):
        open_sink(tmp_path / "%05d.txt", info_of(), settings=EncoderSettings(codec="h264"))
