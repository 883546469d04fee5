"""Files of arrays beside a render that can be resumed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamcam.sinks.resume.durable import read_arrays, write_arrays


def test_another_thread_that_parses_does_not_keep_a_file_from_being_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "arrays.npz"
    write_arrays(path, {"values": np.arange(6).reshape(2, 3)})
    load, failures = np.load, iter(range(3))

    def load_later(*arguments: Any, **settings: Any) -> Any:
        if next(failures, None) is not None:
            raise SystemError("AST constructor recursion depth mismatch (before=54, after=55)")
        return load(*arguments, **settings)

    monkeypatch.setattr(np, "load", load_later)
    np.testing.assert_array_equal(read_arrays(path)["values"], [[0, 1, 2], [3, 4, 5]])


def test_what_fails_for_good_is_raised(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never_load(*_arguments: Any, **_settings: Any) -> Any:
        raise SystemError("for good")

    monkeypatch.setattr(np, "load", never_load)
    with pytest.raises(SystemError, match="for good"):
        read_arrays(tmp_path / "arrays.npz")
