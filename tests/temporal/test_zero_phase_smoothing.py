"""Looking ahead: symmetric in time, linear, right at the edges, and indifferent to rates."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamcam.frames import FloatArray
from streamcam.temporal.smoothing import WINDOW_TIME_CONSTANTS, TimedMaps, average_zero_phase

SLOT = 0
TAU = 0.4


def moment(
    time_s: float,
    value: FloatArray | float | None,
    back: FloatArray | None = None,
    forth: FloatArray | None = None,
    is_explained: bool = True,
) -> TimedMaps:
    maps = {} if value is None else {SLOT: np.atleast_2d(np.asarray(value, np.float32))}
    return TimedMaps(
        time_s,
        maps,
        is_explained,
        {} if back is None else {SLOT: back},
        {} if forth is None else {SLOT: forth},
    )


def response(
    values: list[float | None], times: list[float] | None = None, reach_s: float = math.inf
) -> list[float]:
    """Smooth single numbers, 25 a second if nothing else is said."""
    times = [number / 25 for number in range(len(values))] if times is None else times
    moments = [moment(time_s, value) for time_s, value in zip(times, values, strict=True)]
    smoothed = (average_zero_phase(moments, index, SLOT, TAU, reach_s) for index in range(len(moments)))
    return [math.nan if found is None else float(found[0, 0]) for found in smoothed]


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_what_stays_the_same_stays_the_same(count: int) -> None:
    assert response([7.5] * count) == pytest.approx([7.5] * count)


def test_it_is_symmetric_in_time() -> None:
    chance = np.random.default_rng(4)
    values = chance.normal(size=80).tolist()
    times = np.cumsum(chance.uniform(0.01, 0.09, 80))
    mirrored = (times[-1] - times)[::-1].tolist()
    assert response(values, times.tolist()) == pytest.approx(response(values[::-1], mirrored)[::-1], abs=1e-6)


def test_it_trails_nothing() -> None:
    """A ramp comes out as the same ramp, away from its ends."""
    ramp = [number / 10 for number in range(100)]
    assert response(ramp)[21:-21] == pytest.approx(ramp[21:-21], abs=1e-5)


def test_it_is_linear() -> None:
    chance = np.random.default_rng(6)
    one, other = chance.normal(size=(2, 60))
    together = response((one - 2 * other).tolist())
    apart = np.array(response(one.tolist())) - 2 * np.array(response(other.tolist()))
    assert together == pytest.approx(apart.tolist(), abs=1e-6)


def test_the_weights_are_those_of_an_exponential_forward_and_backward() -> None:
    """An impulse comes out as the window: exp(-|t| / tau) less what that is at the window's end."""
    impulse = [0.0] * 25 + [1.0] + [0.0] * 25
    found = response(impulse)
    window = [max(0, math.exp(-abs(n - 25) / 25 / TAU) - math.exp(-WINDOW_TIME_CONSTANTS)) for n in range(51)]
    inside = slice(20, 31)  # farther away the window reaches beyond the video's ends
    assert found[inside] == pytest.approx([height / sum(window) for height in window[inside]], abs=1e-6)


@pytest.mark.parametrize("rate", [12.5, 25, 50])
def test_one_video_gives_one_response_at_every_rate(rate: float) -> None:
    """A step 2 s into the video, looked at every 0.08 s."""
    fine = 200
    times = [number / rate for number in range(round(4 * rate) + 1)]
    found = response([float(time_s >= 2) for time_s in times], times)
    fine_times = [number / fine for number in range(4 * fine + 1)]
    expected = response([float(time_s >= 2) for time_s in fine_times], fine_times)
    looked_at = [2 + 0.08 * number for number in range(-6, 7) if number]
    close = [found[round(time_s * rate)] for time_s in looked_at]
    half_s = 0.5 / rate  # a step seen at samples lies half a sample before the first that is after it
    exact = [expected[round((time_s + half_s) * fine)] for time_s in looked_at]
    assert close == pytest.approx(exact, abs=0.012)


def test_frames_that_come_twice_as_often_count_half() -> None:
    """Up to 2 s there are 50 frames a second, from then on 25: the turn of the rate leaves no mark."""
    times = [n / 50 for n in range(100)] + [2 + n / 25 for n in range(50)]
    ramp = [3 * time_s for time_s in times]
    assert response(ramp, times)[45:-25] == pytest.approx(ramp[45:-25], abs=0.01)


def test_frames_without_a_map_change_nothing_of_the_others() -> None:
    values: list[float | None] = [float(number) for number in range(40)]
    values[20] = None
    found = response(values)
    assert found[20] == pytest.approx(20, abs=0.05)
    kept = [n for n in range(40) if n != 20]
    without = response([values[n] for n in kept], [n / 25 for n in kept])
    assert [found[n] for n in kept] == pytest.approx(without, abs=1e-6)


def test_where_the_window_holds_no_map_the_nearest_one_stands_in() -> None:
    found = response([1.0, *[None] * 60, 9.0])
    assert found[:2] == [1.0, 1.0]
    assert found[30] == 1.0
    assert found[31] == 9.0
    assert found[-1] == 9.0
    assert math.isnan(response([None, None])[0])


def test_a_shorter_reach_is_kept_on_both_sides() -> None:
    values = [0.0] * 20 + [1.0] + [0.0] * 20
    found = response(values, reach_s=0.2)
    assert [n for n, value in enumerate(found) if value > 0] == list(range(15, 26))
    assert found == pytest.approx(found[::-1])


def test_heat_is_gathered_along_the_motion_from_both_sides() -> None:
    """A spot moves one cell a frame to the right. Followed, it stays whole; else it is smeared."""
    width, count = 40, 21
    right = np.zeros((1, width, 2), np.float32)
    right[..., 0] = -1
    left = -right

    def spot(number: int) -> FloatArray:
        heat = np.zeros((1, width), np.float32)
        heat[0, 10 + number] = 1
        return heat

    followed = [moment(n / 25, spot(n), right if n else None, left if n else None) for n in range(count)]
    still = [moment(n / 25, spot(n)) for n in range(count)]
    for index in (0, 7, 10, 20):
        found = average_zero_phase(followed, index, SLOT, TAU, math.inf)
        np.testing.assert_allclose(found, spot(index), atol=1e-5)
    smeared = average_zero_phase(still, 10, SLOT, TAU, math.inf)
    assert smeared is not None
    assert smeared.max() < 0.2


def test_frames_that_were_not_explained_count_as_if_maps_changed_evenly_between() -> None:
    """Of a value that changes evenly, three frames in four may be left out, and nothing else comes out."""
    knots, places = [0.0, 3.0, -2.0, 5.0, 1.0, 1.0, 4.0], np.arange(25)
    values = np.interp(places / 4, range(7), knots)
    thinned = [
        moment(place / 25, value if place % 4 == 0 else None, is_explained=place % 4 == 0)
        for place, value in zip(places.tolist(), values.tolist(), strict=True)
    ]
    found = [average_zero_phase(thinned, index, SLOT, TAU, math.inf) for index in range(25)]
    assert [float(one[0, 0]) for one in found if one is not None] == pytest.approx(
        response(values.tolist()), abs=0.01
    )  # where a window ends between two maps, its last frames count with the nearest


def test_slots_do_not_mix() -> None:
    one, other = np.ones((1, 1), np.float32), np.full((1, 1), 5, np.float32)
    moments = [
        TimedMaps(n / 25, {1: one, 2: other} if n % 2 else {2: other}, True, {}, {}) for n in range(30)
    ]
    assert average_zero_phase(moments, 12, 1, TAU, math.inf) == pytest.approx(1)
    assert average_zero_phase(moments, 12, 2, TAU, math.inf) == pytest.approx(5)
    assert average_zero_phase(moments, 12, 3, TAU, math.inf) is None
