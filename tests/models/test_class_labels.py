"""Class names: ImageNet's, and those of files of every kind."""

from __future__ import annotations

from pathlib import Path

import pytest
from torchvision.models import ResNet18_Weights

from streamcam.errors import ModelError, SourceNotFoundError
from streamcam.models.labels import imagenet_labels, numbered_labels, read_labels


def test_imagenet_has_its_thousand_names() -> None:
    labels = imagenet_labels()
    assert (len(labels), labels[0], labels[285], labels[999]) == (
        1000,
        "tench",
        "Egyptian cat",
        "toilet tissue",
    )


def test_imagenet_s_names_are_those_of_torchvision() -> None:
    assert list(imagenet_labels()) == ResNet18_Weights.DEFAULT.meta["categories"]


def test_numbers_stand_in_for_names() -> None:
    assert numbered_labels(2) == ("class 0", "class 1")


FILES = [
    ("names.txt", "cat\ndog\n"),
    ("names.txt", "cat\ndog"),
    ("names.txt", "  cat \r\ndog\r\n\n"),
    ("names.txt", "\ufeffcat\ndog\n"),
    ("names.json", '["cat", "dog"]'),
    ("names.json", '{"1": "dog", "0": "cat"}'),
    ("names.json", '{"0": ["n02123045", "cat"], "1": ["n02084071", "dog"]}'),
]


@pytest.mark.parametrize(("name", "text"), FILES)
def test_names_are_read(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    assert read_labels(tmp_path / name) == ("cat", "dog")


def test_names_are_read_in_any_script(tmp_path: Path) -> None:
    (tmp_path / "names.txt").write_bytes("猫\nçiğdem\n".encode())
    assert read_labels(tmp_path / "names.txt") == ("猫", "çiğdem")


BAD = [
    ("a.txt", b"", "holds no labels"),
    ("a.txt", b"\n\n", "holds no labels"),
    ("a.txt", b"\xff\xd8\xff\xe0 JFIF", "is not UTF-8 text; a labels file has one name a line"),
    ("a.txt", b"PK\x03\x04\x00\x00", "is not UTF-8 text"),
    ("a.json", b"cat\ndog", "is not a JSON list of names"),
    ("a.json", b'{"cat": 0}', "is not a JSON list of names"),
    ("a.json", b'{"0": "cat", "2": "dog"}', r"object from index \(0, 1, …\) to name"),
    ("a.json", b"[1, 2]", "is not a JSON list of names"),
    ("a.json", b'"cat"', "is not a JSON list of names"),
    ("a.json", b"7", "is not a JSON list of names"),
    ("a.json", b"[]", "holds no labels"),
]


@pytest.mark.parametrize(("name", "content", "says"), BAD)
def test_what_is_no_labels_file_is_named(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=says) as caught:
        read_labels(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(SourceNotFoundError, match=r"no labels file .* check `labels`"):
        read_labels(tmp_path / name)


def test_files_that_no_system_can_read_are_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot be read \(File name too long\); check `labels`"):
        read_labels(tmp_path / ("x" * 5000))
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(ModelError, match=r"deep.json' is not a JSON list of names"):
        read_labels(tmp_path / "deep.json")
