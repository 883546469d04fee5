"""Masks of objects and of heat: images or a lossless video."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import av
import numpy as np
import pytest
from annotated_frames import OUTSIDE, annotated, cat, dog
from media_factory import info_of, names_in
from numpy.typing import NDArray
from PIL import Image

from streamcam.errors import InvalidArgumentError, NoDirectoryError, OutputExistsError
from streamcam.sinks import open_mask_sink


def write(path: Path, *, overwrite: bool = False) -> None:
    with open_mask_sink(path, info_of(size=(200, 100)), overwrite=overwrite) as sink:
        sink.write(annotated(0, cat(), dog(), OUTSIDE))
        sink.write(annotated(1))
        sink.write(annotated(2, cat(0.3), of_heat=True))


def expected() -> list[NDArray[np.uint8]]:
    """The upper half of the cat's box, and the part of the dog's inside; then nothing; then a cat alone."""
    masks = np.zeros((3, 100, 200), np.uint8)
    masks[0, 20:45, 20:100] = masks[0, 70:, 100:160] = masks[2, 20:45, 60:140] = 255
    return list(masks)


def test_a_folder_gets_a_gray_image_for_each_frame(tmp_path: Path) -> None:
    write(tmp_path / "masks")
    assert names_in(tmp_path / "masks") == ["00001.png", "00002.png", "00003.png"]
    for number, mask in enumerate(expected(), 1):
        with Image.open(tmp_path / "masks" / f"{number:05d}.png") as image:
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), mask)


def test_a_video_holds_the_same_without_loss(tmp_path: Path) -> None:
    write(tmp_path / "masks.mkv")
    with av.open(str(tmp_path / "masks.mkv")) as video:
        assert video.streams.video[0].codec_context.name == "ffv1"
        read = [frame.to_ndarray(format="gray") for frame in video.decode(video=0)]
    assert len(read) == 3
    for image, mask in zip(read, expected(), strict=True):
        np.testing.assert_array_equal(image, mask)


def test_the_masks_of_a_video_of_10_bits_with_alpha_are_the_same(tmp_path: Path) -> None:
    info = dataclasses.replace(info_of(size=(200, 100)), pixel_format="yuva420p10le")
    frame = annotated(0, cat())
    assert frame.stabilized is not None
    image = av.VideoFrame(200, 100, "yuva420p10le")  # masks do not look at its pixels
    deep = dataclasses.replace(
        frame.stabilized, frame=dataclasses.replace(frame.stabilized.frame, image=image)
    )
    with open_mask_sink(tmp_path / "masks.mkv", info, overwrite=False) as sink:
        sink.write(dataclasses.replace(frame, stabilized=deep))
    with av.open(str(tmp_path / "masks.mkv")) as video:
        read = next(video.decode(video=0)).to_ndarray(format="gray")
    assert read[20:45, 20:100].min() == 255
    assert (read == 255).sum() == 25 * 80
    assert (read == 0).sum() == read.size - 25 * 80


def test_masks_that_are_there_are_not_replaced_unasked(tmp_path: Path) -> None:
    for name in ("masks", "masks.mkv", "m%d.png"):
        write(tmp_path / name)
        with pytest.raises(OutputExistsError, match="exists already"):
            write(tmp_path / name)
        write(tmp_path / name, overwrite=True)


def test_a_folder_that_was_made_for_masks_goes_with_them(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("masks", "mine"):
        sink = open_mask_sink(tmp_path / name, info_of(), overwrite=False)
        sink.write(annotated(0, cat()))
        sink.abort()
        sink.abort()
    assert names_in(tmp_path) == ["mine"]
    write(tmp_path / "masks")
    assert len(names_in(tmp_path / "masks")) == 3


@pytest.mark.parametrize("name", ["masks.mp4", "mask.png", "masks/%05d.jpg"])
def test_what_is_not_lossless_or_holds_one_image_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"cannot hold masks, which are lossless: use a folder, "):
        write(tmp_path / name)
    assert names_in(tmp_path) == []


def test_a_folder_in_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoDirectoryError, match="no directory"):
        write(tmp_path / "no" / "masks")
