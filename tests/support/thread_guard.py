"""Run each test in a thread, with a time limit, and check that it leaves no thread behind."""

from __future__ import annotations

import sys
import threading
import traceback
from collections.abc import Iterator

import pytest
from stage_fakes import LIMIT_S

SLOW_LIMIT_S = 900
"""Of tests marked as slow."""


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run a test in a thread of its own: one that hangs fails, and shows where, instead of hanging all."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            pyfuncitem.obj(**arguments)
        except BaseException as error:
            raised.append(error)

    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    thread = threading.Thread(target=call, name="test", daemon=True)
    thread.start()
    thread.join(SLOW_LIMIT_S if pyfuncitem.get_closest_marker("slow") else 2 * LIMIT_S)
    if thread.is_alive():
        frames = sys._current_frames()
        stacks = [
            f"{other.name}:\n{''.join(traceback.format_stack(frames[other.ident]))}"
            for other in threading.enumerate()
            if other.ident in frames and other.name.startswith(("test", "streamcam"))
        ]
        pytest.fail("the test hangs\n" + "\n".join(stacks))
    if raised:
        raise raised[0]
    return True


def stage_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("streamcam-")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    for thread in stage_threads():
        thread.join(LIMIT_S)
    assert stage_threads() == []
