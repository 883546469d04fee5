"""The channel, tested by handshake: no test sleeps, and none depends on who is faster."""

from __future__ import annotations

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from stage_fakes import LIMIT_S, expect

from streamcam.pipeline.channel import Channel, ChannelClosedError


def announces_waiting(channel: Channel[int]) -> threading.Event:
    """Return an event that is set when a thread begins to wait at a channel.

    It is set while the channel's lock is held, and waiting lets go of the lock: whoever sees the event and
    then touches the channel finds the other thread really waiting.
    """
    waiting = threading.Event()
    wait_for = channel._changed.wait_for

    def announce(predicate: Callable[[], object]) -> object:
        if not predicate():
            waiting.set()
        return wait_for(predicate)

    channel._changed.wait_for = announce  # type: ignore[method-assign]
    return waiting


def put_all(channel: Channel[int], items: range) -> None:
    for item in items:
        channel.put(item)
    channel.close()


def fail_here(message: str) -> None:
    raise RuntimeError(message)


def error_from_elsewhere(message: str) -> RuntimeError:
    try:
        fail_here(message)
    except RuntimeError as error:
        return error
    raise AssertionError


def test_items_come_out_in_order() -> None:
    channel = Channel[int](3)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(put_all, channel, range(1000))
        assert list(channel) == list(range(1000))


def test_a_full_channel_holds_its_producer_back() -> None:
    channel, done = Channel[int](2), []

    def produce() -> None:
        for item in range(500):
            channel.put(item)
            done.append(item)
        channel.close()

    with ThreadPoolExecutor(1) as pool:
        pool.submit(produce)
        for taken in range(500):
            assert len(done) <= taken + 2
            assert next(channel) == taken
        assert list(channel) == []


def test_a_waiting_producer_goes_on_when_an_item_is_taken() -> None:
    channel = Channel[int](1)
    channel.put(0)
    waiting = announces_waiting(channel)
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(channel.put, 1)
        expect(waiting)
        assert not putting.done()
        assert next(channel) == 0
        putting.result(LIMIT_S)
    assert next(channel) == 1


def test_a_waiting_consumer_goes_on_when_an_item_is_put() -> None:
    channel = Channel[int](1)
    waiting = announces_waiting(channel)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(next, channel)
        expect(waiting)
        channel.put(7)
        assert taking.result(LIMIT_S) == 7


def test_drop_oldest_never_waits_and_counts_what_it_drops() -> None:
    channel = Channel[int](2, "drop_oldest")
    for item in range(5):
        channel.put(item)
    channel.close()
    assert channel.dropped == 3
    assert list(channel) == [3, 4]


def test_block_drops_nothing() -> None:
    channel = Channel[int](2)
    channel.put(0)
    channel.put(1)
    assert channel.dropped == 0


def test_close_ends_the_consumer_after_what_is_queued() -> None:
    channel = Channel[int](3)
    channel.put(0)
    channel.put(1)
    channel.close()
    channel.close()
    assert list(channel) == [0, 1]
    assert list(channel) == []


def test_close_wakes_a_waiting_consumer() -> None:
    channel = Channel[int](1)
    waiting = announces_waiting(channel)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(list, channel)
        expect(waiting)
        channel.close()
        assert taking.result(LIMIT_S) == []


@pytest.mark.parametrize("policy", ["block", "drop_oldest"])
def test_put_after_close_says_that_the_other_end_has_gone(policy: str) -> None:
    channel = Channel[int](1, policy)  # type: ignore[arg-type]
    channel.close()
    with pytest.raises(ChannelClosedError):
        channel.put(0)


@pytest.mark.parametrize("end", [Channel.close, lambda channel: channel.fail(RuntimeError())])
def test_a_waiting_producer_is_woken_by_the_end(end: Callable[[Channel[int]], None]) -> None:
    channel = Channel[int](1)
    channel.put(0)
    waiting = announces_waiting(channel)
    with ThreadPoolExecutor(1) as pool:
        putting = pool.submit(channel.put, 1)
        expect(waiting)
        end(channel)
        with pytest.raises(ChannelClosedError):
            putting.result(LIMIT_S)


def test_fail_wakes_a_waiting_consumer_with_the_exception() -> None:
    channel = Channel[int](1)
    waiting = announces_waiting(channel)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(next, channel)
        expect(waiting)
        channel.fail(error_from_elsewhere("broken"))
        with pytest.raises(RuntimeError, match="broken"):
            taking.result(LIMIT_S)


def test_a_failure_keeps_its_own_traceback() -> None:
    channel = Channel[int](1)
    error = error_from_elsewhere("broken")
    channel.fail(error)
    with pytest.raises(RuntimeError) as caught:
        next(channel)
    assert caught.value is error
    assert "fail_here" in [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]


def test_a_failure_drops_what_is_queued() -> None:
    channel = Channel[int](2)
    channel.put(0)
    channel.fail(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        next(channel)


def test_a_failure_after_close_still_counts() -> None:
    channel = Channel[int](2)
    channel.put(0)
    channel.close()
    channel.fail(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        list(channel)


def test_the_first_failure_wins() -> None:
    channel = Channel[int](1)
    channel.fail(RuntimeError("first"))
    channel.fail(RuntimeError("second"))
    channel.close()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="first"):
            next(channel)


def test_stop_iteration_does_not_pass_for_an_orderly_end() -> None:
    channel = Channel[int](1)
    channel.fail(StopIteration("from a bug"))
    with pytest.raises(RuntimeError, match="StopIteration") as caught:
        list(channel)
    assert isinstance(caught.value.__cause__, StopIteration)


def test_a_channel_may_be_closed_in_the_thread_that_holds_it() -> None:
    """As a signal handler or a finaliser does that runs in the middle of put or take."""
    channel = Channel[int](1)
    with channel._changed:
        channel.close()
        channel.fail(RuntimeError("broken"))
    with pytest.raises(RuntimeError, match="broken"):
        next(channel)


@pytest.mark.parametrize("maxsize", [0, -1])
def test_a_channel_holds_at_least_one_item(maxsize: int) -> None:
    with pytest.raises(ValueError, match=f"at least one item, not {maxsize}"):
        Channel(maxsize)


def test_taking_waits_only_so_long() -> None:
    channel: Channel[int] = Channel(2)
    assert channel.take(0) is None
    channel.put(1)
    assert channel.take(0) == 1
    channel.put(2)
    channel.close()
    assert channel.take(LIMIT_S) == 2
    with pytest.raises(ChannelClosedError):
        channel.take(LIMIT_S)


def test_taking_makes_room_for_a_waiting_producer() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    producer = threading.Thread(target=channel.put, args=(2,))
    producer.start()
    assert channel.take(LIMIT_S) == 1
    assert channel.take(LIMIT_S) == 2
    producer.join(LIMIT_S)
    assert not producer.is_alive()


def test_taking_raises_what_went_wrong() -> None:
    channel: Channel[int] = Channel(1)
    channel.put(1)
    channel.fail(ValueError("broken"))
    with pytest.raises(ValueError, match="broken"):
        channel.take(0)
