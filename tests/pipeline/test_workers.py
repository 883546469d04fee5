"""Background threads, and items made ahead: in order, bounded, and over on every way out."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator

import pytest
from stage_fakes import LIMIT_S, expect

from streamcam.pipeline.workers import Worker, prefetch

NAME = "worker-of-these-tests"


def nothing() -> None:
    """There is nothing to wake."""


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"streamcam-{NAME}"]


def test_items_come_in_order_from_another_thread() -> None:
    def made() -> Iterator[tuple[int, bool]]:
        for number in range(20):
            yield number, threading.current_thread().name == f"streamcam-{NAME}"

    with prefetch(made(), maxsize=3, name=NAME, interrupt=nothing) as items:
        assert list(items) == [(number, True) for number in range(20)]
    assert workers() == []


def test_it_works_ahead_and_no_further_than_it_may() -> None:
    third, ended = threading.Event(), threading.Event()

    def made() -> Iterator[int]:
        for number in range(10):
            if number == 3:
                third.set()  # 1 and 2 wait, and this one is in hand: where it would go there is no room
            yield number
        ended.set()

    with prefetch(made(), maxsize=2, name=NAME, interrupt=nothing) as items:
        assert next(items) == 0
        expect(third)
        assert not ended.is_set()
        assert list(items) == list(range(1, 10))
    assert ended.is_set()


def test_what_goes_wrong_there_surfaces_here() -> None:
    def made() -> Iterator[int]:
        yield 1
        raise KeyError("gone wrong")

    with (
        pytest.raises(KeyError, match="gone wrong"),
        prefetch(made(), maxsize=1, name=NAME, interrupt=nothing) as items,
    ):
        list(items)
    assert workers() == []


def test_leaving_early_ends_a_worker_that_has_no_room() -> None:
    full, far = threading.Event(), threading.Event()

    def made() -> Iterator[int]:
        yield 0
        yield 1
        full.set()
        yield 2
        far.set()

    with prefetch(made(), maxsize=1, name=NAME, interrupt=nothing) as items:
        assert next(items) == 0
        expect(full)
    assert workers() == []
    assert not far.is_set()


def test_leaving_early_wakes_a_worker_that_waits() -> None:
    waits, woken = threading.Event(), threading.Event()

    def made() -> Iterator[int]:
        waits.set()
        assert woken.wait(LIMIT_S)
        yield from ()

    def leave(interrupt: Callable[[], None]) -> None:
        with prefetch(made(), maxsize=1, name=NAME, interrupt=interrupt):
            expect(waits)
            raise RuntimeError("the caller has had enough")

    with pytest.raises(RuntimeError, match="had enough"):
        leave(woken.set)
    assert workers() == []


AT_EXIT = """
import atexit, threading
from streamcam.pipeline.workers import Worker

leaving = threading.Event()

def compute():
    leaving.wait()
    print(sum(range(10**6)), flush=True)

worker = Worker("computing", compute, on_error=print)
worker.start()
worker.join_at_exit()
atexit.register(leaving.set)  # called first
"""


def test_a_thread_that_computes_ends_before_the_interpreter_exits() -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_EXIT], capture_output=True, text=True, timeout=6 * LIMIT_S, check=False
    )
    assert (done.stdout, done.stderr, done.returncode) == ("499999500000\n", "", 0)


def test_a_thread_that_has_ended_is_not_waited_for() -> None:
    worker = Worker(NAME, nothing, on_error=pytest.fail)
    worker.start()
    assert worker.join(LIMIT_S)
    worker.join_at_exit()
