"""The statistics of a live session."""

from __future__ import annotations

import math

import pytest

from streamcam.session.statistics import Ages, Meter, Rate, Statistics


def test_a_rate_is_that_of_the_last_two_seconds() -> None:
    rate = Rate()
    assert rate.per_s == 0
    for tenth in range(101):  # 10 a second for five seconds, then 30 a second
        rate.note(tenth / 10, tenth if tenth <= 50 else 50 + 3 * (tenth - 50))
    assert rate.per_s == pytest.approx(30)


def test_quantiles_of_ages() -> None:
    ages = Ages()
    assert ages.summary() == {"median": None, "p99": None, "max": None}
    for milliseconds in range(1, 101):
        ages.note(milliseconds / 1000)
    assert ages.summary() == {"median": 50.0, "p99": 99.0, "max": 100.0}
    assert ages.latest_ms == pytest.approx(100)


def test_ages_take_no_more_room_with_time() -> None:
    ages = Ages()
    for number in range(10_000):
        ages.note(1e6 + number)
    assert ages.quantile_ms(0.5) == ages.quantile_ms(1.0) == 60_000  # one bin for all of them


def test_a_meter_counts_the_whole_and_each_second() -> None:
    meter = Meter()
    meter.note_source(10, 2)
    meter.note_shown(0.005, None)
    meter.note_shown(0.015, 0.05)
    meter.note_explained(is_empty=True)
    first = meter.next_second()
    assert (first.captured, first.dropped, first.shown, first.explained) == (10, 2, 2, 1)
    assert first.heat_age.summary() == {"median": 50.0, "p99": 50.0, "max": 50.0}
    meter.note_source(15, 2)
    assert meter.next_second().record()["captured"] == 5
    assert meter.whole.record() == {
        "captured": 15,
        "shown": 2,
        "explained": 1,
        "empty": 1,
        "dropped": 2,
        "frame_age_ms": {"median": 5.0, "p99": 15.0, "max": 15.0},
        "heat_age_ms": {"median": 50.0, "p99": 50.0, "max": 50.0},
    }
    assert math.isnan(Meter().whole.frame_age.latest_ms)


def test_rates_and_the_latest_ages_are_measured_together() -> None:
    meter = Meter()
    assert (meter.measure(0.0).captured_per_s, meter.measure(0.0).dropped) == (0.0, 0)
    meter.note_source(30, 5)
    meter.note_shown(0.004, 0.05)
    assert meter.measure(1.0) == Statistics(
        captured_per_s=30.0,
        shown_per_s=1.0,
        explained_per_s=0.0,
        frame_age_ms=4.0,
        heat_age_ms=50.0,
        dropped=5,
        captured=30,
        shown=1,
    )
