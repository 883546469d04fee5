"""How many cores there are to use, and how many threads torch takes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from streamcam.explain.cores import available_cores
from streamcam.explain.threads import torch_threads


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {0, 2, 4, 6}, raising=False)


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", 4),  # no limit
        ("200000 100000", 2),
        ("150000 100000", 2),  # one and a half keep two busy
        ("50000 100000", 1),
        ("800000 100000", 4),  # more than there are
        ("nonsense", 4),
        ("100000 0", 4),
    ],
)
def test_a_containers_quota_counts(tmp_path: Path, text: str, cores: int) -> None:
    (tmp_path / "cpu.max").write_text(f"{text}\n")
    assert available_cores(tmp_path) == cores


@pytest.mark.usefixtures("four_cores")
@pytest.mark.parametrize(("quota", "cores"), [("-1", 4), ("300000", 3)])
def test_the_older_kind_of_quota_counts_too(tmp_path: Path, quota: str, cores: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu" / "cpu.cfs_quota_us").write_text(f"{quota}\n")
    (tmp_path / "cpu" / "cpu.cfs_period_us").write_text("100000\n")
    assert available_cores(tmp_path) == cores


def test_without_affinity_every_core_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    assert available_cores(tmp_path) == 3


def test_torch_gets_its_threads_back() -> None:
    usual = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with torch_threads(2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 3
        with pytest.raises(ValueError, match="on the way"), torch_threads(1):
            raise ValueError("on the way")
        assert torch.get_num_threads() == 3
        with torch_threads(8):  # never more than the caller allowed
            assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(usual)
