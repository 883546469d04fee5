"""The running stages: order, batches, and every way of ending them while all is well."""

from __future__ import annotations

import base64
import gc
import io
import re
import subprocess
import sys
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from stage_fakes import FakeExplainer, ToldSource, at, consume, expect, explanation_of, in_turn, join_thread

from streamcam.errors import InvalidArgumentError, SourceNotFoundError
from streamcam.media.scaling import Resampler
from streamcam.overlay.single_image import draw_explanation
from streamcam.pipeline.stream import ExplainedStream, stream
from streamcam.sources import SourceSettings, SyntheticSource
from streamcam.temporal import TemporalSettings

BATCH = 2
FULL = 3 * BATCH
"""With nothing taken, this many frames are on their way: queued, in the explainer's hands, explained."""


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 50])
def test_frames_come_in_order_each_with_its_own_explanation(batch: int) -> None:
    pairs = list(
        stream(SyntheticSource(width=32, height=18, frame_count=20), FakeExplainer(batch_size=batch))
    )
    assert [frame.index for frame, _ in pairs] == list(range(20))
    assert [explanation.frame_index for _, explanation in pairs] == list(range(20))


def test_batches_are_always_full_and_always_the_same() -> None:
    for _ in range(20):
        explainer = FakeExplainer(batch_size=4)
        assert len(list(stream(ToldSource(10), explainer))) == 10
        assert explainer.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_a_notebook_shows_the_frame_that_was_handed_over_last() -> None:
    running = stream(SyntheticSource(width=64, height=36, frame_count=3), FakeExplainer(batch_size=1))
    assert running._repr_html_().endswith("iterate over it for frames and explanations</p>")
    for frame, explanation in running:
        shown = running._repr_html_()
        url = re.search(r'<img src="data:image/png;base64,([^"]+)"', shown)
        assert url is not None
        drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(url[1]))))
        np.testing.assert_array_equal(drawn, draw_explanation(explanation, frame))
        assert f"frame {frame.index}, {frame.time_s:.2f} s" in shown
        plain = np.asarray(Image.open(io.BytesIO(frame._repr_png_())))
        np.testing.assert_array_equal(plain, Resampler().to_rgb(frame.image, 64, 36))
        assert (plain != drawn).any()
    assert "frame 2," in running._repr_html_()  # still, when it has ended


def test_a_source_without_frames_ends_at_once() -> None:
    running = stream(ToldSource(0), FakeExplainer())
    assert list(running) == []
    assert not running.stopped


def test_a_path_is_opened_and_what_the_source_says_of_itself_is_known() -> None:
    with pytest.raises(SourceNotFoundError, match=r"no file 'missing\.mp4'"):
        stream("missing.mp4", FakeExplainer())
    running = stream(SyntheticSource(frame_count=3, rate=Fraction(10)), FakeExplainer())
    assert (running.info.name, running.info.rate) == ("synthetic", 10)
    running.close()


def test_an_open_source_takes_no_settings() -> None:
    with pytest.raises(InvalidArgumentError, match="an open source takes no `settings`"):
        stream(ToldSource(), FakeExplainer(), settings=SourceSettings(end_s=1.0))


def test_the_reader_owns_the_source_and_its_report_is_whole_at_the_end() -> None:
    source = ToldSource(5)
    running = stream(source, FakeExplainer())
    assert len(list(running)) == 5
    assert source.closed_in == "streamcam-reader"
    assert running.report().frames_read == 5


# --- following the video -----------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 2, 4])
def test_every_third_frame_is_explained_in_full_batches(batch: int) -> None:
    explainer = FakeExplainer(batch_size=batch)
    source = SyntheticSource(width=32, height=18, frame_count=20)
    pairs = list(stream(source, explainer, temporal=TemporalSettings(every=3, cuts="off")))
    assert [frame.index for frame, _ in pairs] == list(range(20))
    assert [explanation.frame_index for _, explanation in pairs] == list(range(20))
    explained = [explanation.frame_index for _, explanation in pairs if explanation.is_explained]
    assert explained == list(range(0, 20, 3))
    assert [len(indices) for indices in explainer.batches[:-1]] == [batch] * (len(explainer.batches) - 1)


def test_frames_that_are_left_out_do_not_pile_up() -> None:
    explainer = FakeExplainer(batch_size=4)
    source = SyntheticSource(width=32, height=18, frame_count=100)
    running = iter(stream(source, explainer, temporal=TemporalSettings(every=90, cuts="off")))
    next(running)
    assert explainer.batches[0] == [0]
    assert len(list(running)) == 99
    assert [index for indices in explainer.batches for index in indices] == [0, 90]


def test_a_video_that_is_followed_comes_with_views() -> None:
    source = SyntheticSource(width=32, height=18, frame_count=2)
    for _, explanation in stream(source, FakeExplainer(), temporal=TemporalSettings()):
        assert explanation.thumbnail is not None


def test_settings_that_cannot_be_used_are_told_before_anything_is_opened() -> None:
    with pytest.raises(InvalidArgumentError, match="`every` counts frames from 1"):
        stream("missing.mp4", FakeExplainer(), temporal=TemporalSettings(every=0))


# --- ending in order --------------------------------------------------------------------------------------


def test_stop_hands_over_what_is_queued_and_ends() -> None:
    full = threading.Event()
    source = ToldSource(200, before=at(FULL, full.set))
    running = stream(source, FakeExplainer(batch_size=BATCH))
    indices = []
    for frame, _ in running:
        if not indices:
            expect(full)
            running.stop()
            running.stop()
        indices.append(frame.index)
    assert FULL <= len(indices) <= FULL + BATCH
    assert indices == list(range(len(indices)))
    assert running.stopped
    assert running.report().frames_read < 200


def test_stop_explains_a_last_batch_that_is_not_full() -> None:
    asked = threading.Event()
    stopped = threading.Event()
    source = ToldSource(200, before=at(3, in_turn(asked.set, lambda: expect(stopped))))
    explainer = FakeExplainer(batch_size=BATCH)
    running = stream(source, explainer)
    expect(asked)
    running.stop()
    stopped.set()
    assert consume(running) == [0, 1, 2]
    assert explainer.batches == [[0, 1], [2]]


def test_stop_after_the_last_frame_was_read_cuts_nothing_short() -> None:
    ended = threading.Event()
    running = stream(ToldSource(2, before=at(2, ended.set)), FakeExplainer(batch_size=BATCH))
    indices = []
    for frame, _ in running:
        if not indices:
            expect(ended)
            join_thread("streamcam-reader")
            running.stop()
        indices.append(frame.index)
    assert indices == [0, 1]
    assert not running.stopped


def test_stop_before_the_first_frame_leaves_nothing() -> None:
    stopped = threading.Event()
    running = stream(ToldSource(before=at(0, lambda: expect(stopped))), FakeExplainer())
    running.stop()
    stopped.set()
    assert consume(running) == []
    assert running.stopped


def test_used_as_a_context_manager_only() -> None:
    source = ToldSource(200)
    with stream(source, FakeExplainer()):
        pass
    assert source.closed_in == "streamcam-reader"


def test_close_may_be_called_again_and_in_the_middle() -> None:
    running = stream(ToldSource(200), FakeExplainer())
    indices = []
    for frame, _ in running:
        indices.append(frame.index)
        running.close()
        running.close()
    assert indices == [0]
    assert running.stopped


def test_a_finished_stream_gives_nothing_more() -> None:
    running = stream(ToldSource(4), FakeExplainer())
    assert len(list(running)) == 4
    assert list(running) == []
    assert not running.stopped


def test_close_in_the_explainers_own_thread_does_not_wait_for_itself() -> None:
    """As the garbage collector does when it happens to run there."""
    running: list[ExplainedStream] = []
    started = threading.Event()

    def close() -> None:
        expect(started)
        running[0].close()

    running.append(stream(ToldSource(200), FakeExplainer(before=at(1, close))))
    started.set()
    assert consume(running[0]) in ([], [0], [0, 1])


def test_an_abandoned_iterator_ends_the_threads() -> None:
    source = ToldSource(200)
    pairs = iter(stream(source, FakeExplainer()))
    next(pairs)
    del pairs
    gc.collect()
    assert source.closed_in == "streamcam-reader"


def test_an_abandoned_stream_ends_the_threads() -> None:
    running = stream(ToldSource(200), FakeExplainer())
    del running
    gc.collect()
    join_thread("streamcam-reader")


def test_the_interpreter_ends_beside_a_running_stream(tmp_path: Path) -> None:
    program = (
        "from stage_fakes import FakeExplainer, ToldSource\n"
        "from streamcam.pipeline.stream import stream\n"
        "running = stream(ToldSource(10**6), FakeExplainer())\n"
        "pairs = iter(running)\n"
        "print(next(pairs)[0].index)\n"
    )
    here = Path(__file__).parent.parent / "support"
    child = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(here)!r})\n{program}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (child.returncode, child.stdout, child.stderr) == (0, "0\n", "")


def test_explanations_are_the_explainers_own() -> None:
    (_, explanation), *_ = stream(ToldSource(2), FakeExplainer())
    assert explanation.predictions == explanation_of(0).predictions
