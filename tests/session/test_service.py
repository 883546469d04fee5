"""Notes to systemd, and metrics for Prometheus."""

from __future__ import annotations

import dataclasses
import socket
import sys
import urllib.request
from pathlib import Path

import pytest
from live_fakes import facts_of, live_frame
from prometheus_client.parser import text_string_to_metric_families

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.session.metrics import Metrics
from streamcam.session.outputs import LiveFrame
from streamcam.session.service import ServiceNotifier
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.session.statistics import Statistics

FAKE = ExplainRequest("fake")
BUSY = StreamState(
    "door",
    frame_at_s=99.5,
    has_begun=True,
    reconnections=2,
    statistics=Statistics(
        heat_age_ms=250.0, frame_age_ms=4.0, dropped=3, captured=100, shown=97, explained=40
    ),
)
STATE = LiveState((BUSY, StreamState("back yard", notice="gone")), FAKE, now_s=100.0, facts=facts_of(FAKE))


def fetch(metrics: Metrics) -> dict[tuple[str, str | None], float]:
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics.port}/metrics") as answer:
        text = answer.read().decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, sample.labels.get("stream")): sample.value for sample in samples}


def test_numbers_of_every_stream_can_be_fetched() -> None:
    metrics = Metrics(0)
    metrics.start(lambda _event: None)
    try:
        assert ("streamcam_frames_read_total", "door") not in fetch(metrics)
        metrics.write(LiveFrame(live_frame(0), None, STATE))
        values = fetch(metrics)
    finally:
        metrics.close()
        metrics.close()
    read = {name: values[f"streamcam_{name}", "door"] for name in ("stream_up", "silence_seconds")}
    assert read == {"stream_up": 1.0, "silence_seconds": 0.5}
    counts = ("read", "shown", "explained", "dropped")
    assert [values[f"streamcam_frames_{name}_total", "door"] for name in counts] == [100, 97, 40, 3]
    assert values["streamcam_reconnections_total", "door"] == 2
    assert values["streamcam_heat_age_seconds", "door"] == 0.25
    assert values["streamcam_stream_up", "back yard"] == 0.0
    assert ("streamcam_heat_age_seconds", "back yard") not in values  # nothing was explained yet
    if sys.platform == "linux":
        assert values["process_resident_memory_bytes", None] > 1e6


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SinkError, match=f"`metrics_port={port}` cannot be used on 127.0.0.1: Address"):
            Metrics(port).start(lambda _event: None)


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(InvalidArgumentError, match=r"pip install 'streamcam\[metrics\]'"):
        Metrics(0)


@pytest.fixture
def manager(tmp_path: Path) -> socket.socket:
    """Where systemd would take notes."""
    receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    receiver.bind(str(tmp_path / "notify"))
    receiver.setblocking(False)
    return receiver


def notes(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(100).decode())
        except BlockingIOError:
            return found


def test_systemd_is_notified_of_begin_life_and_end(manager: socket.socket, tmp_path: Path) -> None:
    now_s = [0.0]
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"}
    notifier = ServiceNotifier(environment, clock=lambda: now_s[0])
    with manager:
        notifier.start(lambda _event: None)
        assert notes(manager) == ["READY=1"]
        seen = []
        for second in range(1, 46):
            now_s[0] = second
            assert notifier.poll() == ()
            if notes(manager) == ["WATCHDOG=1"]:
                seen.append(second)
        assert seen == [15, 30, 45]
        notifier.close()
        assert notes(manager) == ["STOPPING=1"]


def test_without_a_watchdog_none_is_fed(manager: socket.socket, tmp_path: Path) -> None:
    now_s = [0.0]
    notifier = ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "notify")}, clock=lambda: now_s[0])
    with manager:
        now_s[0] = 1e6
        notifier.poll()
        assert notes(manager) == []


def test_a_manager_that_is_gone_ends_no_session(tmp_path: Path) -> None:
    notifier = ServiceNotifier({"NOTIFY_SOCKET": str(tmp_path / "nowhere")})
    notifier.start(lambda _event: None)
    notifier.close()


@pytest.mark.parametrize(("environment", "expected"), [({}, False), ({"NOTIFY_SOCKET": "/run/x"}, True)])
def test_notes_are_sent_only_to_who_waits_for_them(environment: dict[str, str], expected: bool) -> None:
    assert ServiceNotifier.is_expected(environment) == expected


def test_a_stream_that_has_ended_is_not_up() -> None:
    metrics = Metrics(0)
    ended = dataclasses.replace(BUSY, has_ended=True)
    metrics.write(LiveFrame(live_frame(0), None, dataclasses.replace(STATE, streams=(ended,))))
    (up,) = [family for family in metrics.collect() if family.name == "streamcam_stream_up"]
    assert [sample.value for sample in up.samples] == [0.0]
