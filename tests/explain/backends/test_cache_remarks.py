"""What the cache says of a start that is slower than others: once, and in words."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamcam.explain import activities
from streamcam.explain.backends.cache import CacheEntry


@pytest.fixture(autouse=True)
def nothing_said_yet() -> Iterator[None]:
    activities.remark.cache_clear()
    yield
    activities.remark.cache_clear()


def kept(directory: Path, name: str = "openvino-1") -> CacheEntry:
    entry = CacheEntry(directory, name)
    entry.fill(lambda folder: (folder / "model.bin").write_bytes(b"weights"))
    return entry


def remarks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if getattr(record, "remark", False)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: (path / "model.bin").write_bytes(b"weight"),
        lambda path: (path / "model.bin").unlink(),
        lambda path: (path / "manifest.json").write_bytes(b""),
        lambda path: (path / "manifest.json").unlink(),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: object) -> None:
    entry = kept(tmp_path)
    damage(entry.path)  # type: ignore[operator]
    with caplog.at_level(logging.INFO, "streamcam.explain"):
        assert entry.find() is None
    assert remarks(caplog) == [f"{str(entry.path)!r} is damaged or cannot be read, so it is made again"]
    assert not entry.path.exists()


def test_what_is_not_there_and_what_is_whole_is_no_remark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "streamcam.explain"):
        assert CacheEntry(tmp_path, "openvino-0").find() is None
        assert kept(tmp_path).find() is not None
    assert remarks(caplog) == []


def test_a_cache_that_takes_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_bytes(b"")
    with caplog.at_level(logging.INFO, "streamcam.explain"):
        kept(tmp_path / "file", "openvino-1")
        kept(tmp_path / "file", "explanation-1")
    (said,) = remarks(caplog)
    assert said.startswith(f"nothing can be kept in '{tmp_path / 'file'}' (File exists), so every start")
    assert said.endswith("STREAMCAM_CACHE names another directory")


def test_a_full_disk_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def write(_folder: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with caplog.at_level(logging.INFO, "streamcam.explain"):
        CacheEntry(tmp_path, "openvino-1").fill(write)
    (said,) = remarks(caplog)
    assert "(No space left on device)" in said
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_was_quicker_is_no_remark(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entry = kept(tmp_path)
    with caplog.at_level(logging.INFO, "streamcam.explain"):
        kept(tmp_path)
    assert remarks(caplog) == []
    assert entry.find() is not None


def test_an_entry_that_cannot_even_be_looked_for_is_not_there(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "streamcam.explain"):  # as in a directory that is another user's
        entry = kept(tmp_path, "x" * 300)
        assert entry.find() is None
    (said,) = remarks(caplog)
    assert said.startswith("nothing can be kept in ")
