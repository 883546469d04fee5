"""The programs that tests start and that pip cannot install."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

SYSTEM_PYTHON = "/usr/bin/python3"
"""The system's own Python, which its packages for Python are for."""


def require_programs(*names: str) -> None:
    """Skip a test where a program is missing; CI installs them all (.ci/run) and must not skip."""
    _require([name for name in names if shutil.which(name) is None])


def require_rtsp_server() -> None:
    """The same for what tests/support/rtsp_server.py is made of."""
    require_programs(SYSTEM_PYTHON, "ffmpeg")
    probe = "import gi; gi.require_version('GstRtspServer', '1.0')"
    found = subprocess.run([SYSTEM_PYTHON, "-c", probe], capture_output=True, check=False).returncode == 0
    _require([] if found else ["gir1.2-gst-rtsp-server-1.0"])


def _require(missing: list[str]) -> None:
    if missing and os.environ.get("CI") == "true":
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
