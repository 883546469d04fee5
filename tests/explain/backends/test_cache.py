"""The cache of converted networks: what goes, and when; test_openvino_backend.py damages what is in it."""

from __future__ import annotations

import os
import time
from pathlib import Path

import openvino
import pytest
import torch
from torch import nn

from streamcam.explain.backends import cache
from streamcam.explain.backends.cache import clear, used
from streamcam.explain.backends.conversion import _convert
from streamcam.explain.backends.model_cache import ModelCache

HOUR_S = 3600


def entry(directory: Path, name: str, size: int, *, age_s: float) -> Path:
    """Lay down what looks like an entry, last used so long ago."""
    path = directory / name
    path.mkdir(parents=True)
    (path / "model.bin").write_bytes(bytes(size))
    used_at = time.time() - age_s
    os.utime(path, (used_at, used_at))
    return path


def save(directory: Path) -> ModelCache:
    """Convert and keep a network."""
    network = nn.Conv2d(3, 4, 3)
    kept = ModelCache(directory, network)
    model = _convert(network, torch.zeros(1, 3, 8, 8))
    assert model is not None
    kept.save(model)
    return kept


def names(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


def test_what_another_version_converted_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = nn.Conv2d(3, 4, 3)
    now = ModelCache(tmp_path, network)._entry
    assert ModelCache(tmp_path, network)._entry == now
    for version in ("streamcam.__version__", "torch.__version__", "openvino.__version__"):
        with monkeypatch.context() as another:
            another.setattr(version, "0.0.0")
            assert ModelCache(tmp_path, network)._entry != now


def test_the_least_recently_used_go_until_the_rest_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, age_s in enumerate([2, 4, 1, 3]):
        entry(tmp_path, f"openvino-{number}", 1_000_000, age_s=age_s * HOUR_S)
    monkeypatch.setattr(cache, "LIMIT_BYTES", 2_500_000)
    written = save(tmp_path)
    assert names(tmp_path) - {"openvino-0", "openvino-2"} == {written._entry.name}
    assert used(tmp_path)[0] == 3
    assert 2_000_000 < used(tmp_path)[1] <= 2_500_000


def test_loading_counts_as_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = save(tmp_path)
    os.utime(old._entry, (1, 1))
    entry(tmp_path, "openvino-newer", 1_000_000, age_s=HOUR_S)
    assert old.load() is not None
    monkeypatch.setattr(cache, "LIMIT_BYTES", 500_000)
    written = save(tmp_path)
    assert names(tmp_path) == {old._entry.name, written._entry.name}


def test_what_was_just_written_stays_however_large_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry(tmp_path, "openvino-other", 1, age_s=-HOUR_S)  # used later, by a clock that is ahead
    monkeypatch.setattr(cache, "LIMIT_BYTES", 0)
    written = save(tmp_path)
    assert names(tmp_path) == {written._entry.name}
    assert written.load() is not None


def test_what_killed_processes_left_goes_and_what_is_being_made_stays(tmp_path: Path) -> None:
    for name in ("making-a", "dropping-a"):
        entry(tmp_path, name, 10, age_s=25 * HOUR_S)
    for name in ("making-b", "dropping-b"):
        entry(tmp_path, name, 10, age_s=HOUR_S)
    assert used(tmp_path) == (0, 40)
    written = save(tmp_path)
    assert names(tmp_path) == {"making-b", "dropping-b", written._entry.name}


def test_clearing_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    entry(tmp_path, "openvino-a", 300, age_s=0)
    entry(tmp_path, "openvino-b", 30, age_s=0)
    entry(tmp_path, "making-c", 3, age_s=0)
    (tmp_path / "letter.txt").write_text("mine")
    entry(tmp_path, "photographs", 5, age_s=0)
    assert clear(tmp_path) == (2, 333)
    assert names(tmp_path) == {"letter.txt", "photographs"}
    assert clear(tmp_path) == (0, 0)


def test_a_cache_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert used(tmp_path / "none") == (0, 0)
    assert clear(tmp_path / "none") == (0, 0)
    assert not (tmp_path / "none").exists()


def test_an_entry_that_another_process_drops_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = save(tmp_path)
    hashes = cache._hashes

    def dropped_before_its_files_are_read(path: Path) -> dict[str, str]:
        clear(tmp_path)
        return hashes(path)

    monkeypatch.setattr(cache, "_hashes", dropped_before_its_files_are_read)
    assert mine.load() is None
    monkeypatch.undo()
    assert names(tmp_path) == set()


def test_a_network_that_is_loaded_outlives_its_entry(tmp_path: Path) -> None:
    kept = save(tmp_path)
    model = kept.load()
    assert model is not None
    clear(tmp_path)
    kept.keep_verdict("is it there?", True)
    assert kept.verdict("is it there?") is None
    model.reshape([1, 3, 8, 8])
    request = openvino.compile_model(model, "CPU").create_infer_request()
    request.infer([torch.ones(1, 3, 8, 8).numpy()])
    assert request.get_output_tensor(0).data.shape == (1, 4, 6, 6)


def test_what_is_made_while_the_cache_is_cleared_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hashes = cache._hashes

    def cleared_before_it_is_complete(path: Path) -> dict[str, str]:
        clear(tmp_path)
        return hashes(path)

    monkeypatch.setattr(cache, "_hashes", cleared_before_it_is_complete)
    save(tmp_path)
    assert names(tmp_path) == set()
