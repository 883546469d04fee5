"""The live preview, against a source, explainers and a display that do as they are told."""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from live_fakes import FakeDisplay, FakeExplainers, FakeLiveExplainer, ScriptedLiveSource, live_frame
from media_factory import frame_times_of, grey_of
from PIL import Image
from stage_fakes import at, expect

from streamcam.errors import InvalidArgumentError, SinkError, SourceError
from streamcam.frames import Frame
from streamcam.media.images import planes_of
from streamcam.overlay import OverlaySettings
from streamcam.session import stages
from streamcam.session.controls import View
from streamcam.session.session import LivePreview, LiveResult
from streamcam.session.settings import LiveSettings
from streamcam.session.stages import Explained, ExplainRequest, LiveStages
from streamcam.session.statistics import StatsFile
from streamcam.temporal import LIVE_MODE, TemporalSettings

PLAIN = View(OverlaySettings(labels=False), heat_shown=False)
"""What is shown is the bare image, so that its grey tells which one it is."""


class Scene:
    """A preview of a told source.

    The script says what happens after each image is shown, or each time one is drawn where redraws are
    heeded; when it is over, the source ends.
    """

    def __init__(
        self,
        *script: Callable[[Scene], object],
        settings: LiveSettings | None = None,
        explainers: FakeExplainers | None = None,
        stats: StatsFile | None = None,
        heeds_redraws: bool = False,
    ) -> None:
        self._heeds_redraws = heeds_redraws
        self._seen: object = None
        self.source = ScriptedLiveSource()
        self.display = FakeDisplay(on_show=self._on_show)
        self.explainers = explainers or FakeExplainers()
        self.told: list[str] = []
        self.preview = LivePreview(
            self.source,
            self.explainers,
            self.display,
            settings or LiveSettings(view=PLAIN),
            stats=stats,
            tell=self.told.append,
        )
        self._script = list(script)

    def _on_show(self, _number: int) -> None:
        seen, self._seen = self._seen, self.preview._newest
        if seen is self._seen and not self._heeds_redraws:  # the same image, with other words on it
            return
        if self._script:
            self._script.pop(0)(self)
        else:
            self.source.end()

    def run(self) -> LiveResult:
        self.source.go()
        return self.preview.run()

    @property
    def greys(self) -> list[int]:
        return [int(planes_of(image)[0][0, 0]) for image in self.display.shown]


def go(scene: Scene) -> None:
    scene.source.go()


def pressing(*keys: str) -> Callable[[Scene], None]:
    def press(scene: Scene) -> None:
        scene.display.keys += keys

    return press


def test_every_image_is_shown_as_it_comes() -> None:
    scene = Scene(go, go, go)
    result = scene.run()
    assert scene.greys == [grey_of(index) for index in range(4)]
    assert (result.figures.captured, result.figures.shown, result.figures.dropped) == (4, 4, 0)
    assert scene.display.threads == {"test"}  # windows are for the thread that runs the preview
    assert scene.display.is_closed


def test_the_newest_image_is_shown_and_the_others_are_counted() -> None:
    def hurry(scene: Scene) -> None:
        scene.source.idle.clear()
        scene.source.go(5)
        expect(scene.source.idle)  # the reader does not wait for the display

    scene = Scene(hurry)
    result = scene.run()
    assert scene.greys == [grey_of(0), grey_of(5)]
    assert result.figures.dropped == 4


def test_the_image_goes_on_while_a_map_is_computed() -> None:
    held, release = threading.Event(), threading.Event()

    def hold(batch: int) -> None:
        if batch == 0:
            held.set()
            expect(release)

    def see_that_it_is_held(scene: Scene) -> None:
        expect(held)
        go(scene)

    scene = Scene(
        go,
        see_that_it_is_held,
        go,
        lambda _: (release.set(), scene.source.go()),
        explainers=FakeExplainers(hold),
    )
    result = scene.run()
    assert scene.greys == [grey_of(index) for index in range(5)]
    assert result.figures.shown == 5


def wait_for_facts(scene: Scene) -> None:
    """Let an image come once something has been explained; nothing is shown until then."""
    heat = scene.preview._heat
    if heat.explained is not None:
        scene.source.go()
        return
    take = heat.take

    def take_and_go(explained: Explained) -> None:
        heat.take = take  # type: ignore[method-assign]
        take(explained)
        scene.source.go()

    heat.take = take_and_go  # type: ignore[method-assign]


def test_heat_is_carried_on_to_images_not_explained() -> None:
    gate = threading.Event()

    def hold(batch: int) -> None:
        if batch == 1:
            expect(gate)

    view = View(OverlaySettings(labels=False, alpha=1.0))
    scene = Scene(
        wait_for_facts,
        go,
        lambda _: gate.set() or scene.source.end(),
        settings=LiveSettings(view=view),
        explainers=FakeExplainers(hold),
    )
    scene.run()
    # Only heat is shown, of the first image's map: all later images look alike, whatever their own grey.
    second, third = (image.to_ndarray() for image in scene.display.shown[-2:])
    assert (second == third).all()
    assert second.std() > 5


def test_a_key_changes_the_method_and_a_refusal_leaves_the_old_one() -> None:
    def press_again_once_changed(running: Scene) -> None:
        facts = running.preview._controls.facts
        assert facts is not None
        if facts.method == "other":
            pressing("m")(running)
            running._script.append(end_once_refused)
        else:
            running._script.append(press_again_once_changed)
        go(running)

    def end_once_refused(running: Scene) -> None:
        if "goes with no network" not in running.preview._status._said:
            running._script.append(end_once_refused)
            go(running)
        else:
            running.source.end()

    scene = Scene(
        wait_for_facts,
        lambda scene: (pressing("m")(scene), go(scene)),
        press_again_once_changed,
        settings=LiveSettings(view=PLAIN, wanted=ExplainRequest("fake")),
    )
    scene.run()
    assert [wanted.method for wanted in scene.explainers.asked] == ["fake", "other", "broken"]
    assert scene.preview._controls.facts is not None
    assert scene.preview._controls.facts.method == "other"
    assert scene.preview._status._said == "this method goes with no network"


def test_an_backend_that_gives_way_later_on_is_told() -> None:
    def fall_back(batch: int) -> None:
        if batch == 1:
            explainer = scene.explainers.made[0]
            explainer.facts = dataclasses.replace(explainer.facts, backend="other", notes=("fell back",))

    def end_once_seen(running: Scene) -> None:
        facts = running.preview._controls.facts
        if facts is not None and facts.backend == "other":
            running.source.end()
        else:
            running._script.append(end_once_seen)
            running.source.go()

    scene = Scene(wait_for_facts, end_once_seen, explainers=FakeExplainers(fall_back))
    assert scene.run().notes == ("fell back",)


def test_a_frozen_image_stays_and_is_explained_by_itself() -> None:
    explained: list[int] = []
    frozen: list[int] = []

    def freeze(running: Scene) -> None:
        assert running.preview._newest is not None
        frozen.append(running.preview._newest.index)
        pressing(" ")(running)

    scene = Scene(
        wait_for_facts,
        freeze,
        lambda scene: (scene.source.go(3), pressing("m")(scene)),
        settings=LiveSettings(view=PLAIN, wanted=ExplainRequest("fake")),
        heeds_redraws=True,
    )

    def end_when_explained_anew(running: Scene) -> None:
        answer = running.preview._heat.explained
        assert answer is not None
        explained.append(answer.frame.index)
        if answer.facts.method == "other":
            running.source.end()
        else:
            running._script.append(end_when_explained_anew)
            pressing("i")(running)  # anything that makes it draw again

    scene._script.append(end_when_explained_anew)
    result = scene.run()
    assert set(scene.greys[-3:]) == {grey_of(frozen[0])}
    assert explained[-1] == frozen[0]
    assert result.figures.shown == frozen[0] + 1


def test_a_frozen_image_can_be_recorded(tmp_path: Path) -> None:
    scene = Scene(
        lambda scene: pressing(" ", "r", "q")(scene), settings=LiveSettings(view=PLAIN, folder=tmp_path)
    )
    result = scene.run()
    assert result.problems == ()
    assert [recorder.written for recorder in result.recordings] == [1]


@pytest.mark.parametrize("key", ["q", "escape"])
def test_a_key_quits(key: str) -> None:
    scene = Scene(go, pressing(key))
    scene.run()
    assert len(scene.display.shown) == 2


def test_the_close_button_quits() -> None:
    def close(scene: Scene) -> None:
        scene.display.closed_by_user = True

    scene = Scene(close)
    scene.run()
    assert len(scene.display.shown) == 1


def test_full_screen_is_the_displays_affair() -> None:
    scene = Scene(lambda scene: (pressing("f")(scene), go(scene)))
    scene.run()
    assert scene.display.full_screen


def test_stop_ends_in_order() -> None:
    scene = Scene(lambda scene: scene.preview.stop())
    assert scene.run().figures.shown == 1


def test_a_duration_ends_it() -> None:
    scene = Scene(*[go] * 100, settings=LiveSettings(view=PLAIN, duration_s=1e-9))
    assert scene.run().figures.shown == 1


def test_a_source_that_cannot_be_opened_is_told_and_no_window_opens() -> None:
    scene = Scene()
    scene.source.end(SourceError("there is no camera 0"))
    with pytest.raises(SourceError, match="there is no camera 0"):
        scene.run()
    assert scene.display.shown == []


def test_a_network_that_cannot_be_loaded_ends_it() -> None:
    scene = Scene(*[go] * 3, settings=LiveSettings(view=PLAIN, wanted=ExplainRequest("broken")))
    scene._script += [lambda _: None] * 50  # and the source never ends by itself
    with pytest.raises(InvalidArgumentError, match="goes with no network"):
        scene.run()


def test_an_explainer_that_breaks_ends_it() -> None:
    def fail(batch: int) -> None:
        if batch == 1:
            raise MemoryError("no memory left")

    scene = Scene(wait_for_facts, go, *[lambda _: None] * 50, explainers=FakeExplainers(fail))
    with pytest.raises(MemoryError, match="no memory left"):
        scene.run()


def test_giving_up_is_an_error_and_finishes_the_recording(tmp_path: Path) -> None:
    record = tmp_path / "out.mp4"
    settings = LiveSettings(view=PLAIN, give_up_s=0.05, record=record)
    scene = Scene(go, *[lambda _: None] * 50, settings=settings)
    with pytest.raises(SourceError, match=r"no image from 'scripted' for 0.05 s; giving up"):
        scene.run()
    assert scene.preview._keeper.problems == ()
    assert record.stat().st_size > 100


def test_trouble_is_shown_and_told_until_it_has_passed() -> None:
    def lose(scene: Scene) -> None:
        scene.preview._status.frame_at -= 7  # the last one came so long ago
        scene.source.notice = "camera 0 is gone; trying again"

    def come_back(scene: Scene) -> None:
        scene.source.notice = None
        scene.source.go()
        scene.preview._take_image(live_frame(1))  # before anybody looks whether all is well again

    scene = Scene(
        lose,
        come_back,
        settings=LiveSettings(view=PLAIN),
        heeds_redraws=True,
    )
    scene.run()
    assert scene.told[0] == "camera 0 is gone; trying again"
    assert scene.told[1] == "scripted is back after 7 s"
    first, with_notice = (image.to_ndarray() for image in scene.display.shown[:2])
    assert first.shape == with_notice.shape


def test_trouble_before_the_first_image_is_told() -> None:
    told = threading.Event()
    scene = Scene()

    def never_well(_index: int) -> None:
        scene.source.notice = "camera 0 sends no more images; trying again"
        expect(told)
        scene.source.end()

    scene.source.before = never_well
    scene.preview._status._tell = lambda words: (scene.told.append(words), told.set())
    with pytest.raises(SourceError, match="gave no images"):
        scene.run()
    assert scene.told == ["camera 0 sends no more images; trying again"]


def test_an_image_on_its_way_does_not_take_the_place_of_a_frozen_one() -> None:
    putting, handed_in = threading.Event(), threading.Event()
    source = ScriptedLiveSource()
    stages = LiveStages(source, FakeExplainers(), ExplainRequest("fake"), TemporalSettings(mode=LIVE_MODE))
    waiting = stages._to_explain
    put = waiting.put

    def put_late(frame: Frame) -> None:
        if threading.current_thread().name == "streamcam-reader":
            putting.set()
            handed_in.wait(0.2)  # in vain, where nobody can hand anything in meanwhile
        put(frame)

    waiting.put = put_late  # type: ignore[method-assign]
    stages._reading.start()
    source.go()
    expect(putting)
    stages.freeze(True)
    frozen = live_frame(7)
    stages.explain(frozen)
    handed_in.set()
    source.go()  # and later ones do not either
    source.end()
    stages._reading.join()
    assert waiting.take(0) is frozen


def test_a_device_that_hangs_does_not_keep_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "PATIENCE_S", 0.05)
    scene = Scene(go, pressing("q"))
    wake = threading.Event()
    scene.source.before = at(2, lambda: expect(wake))
    assert scene.run().figures.shown == 2
    assert "streamcam-reader" in [thread.name for thread in threading.enumerate()]
    wake.set()


def test_a_network_that_is_being_loaded_does_not_keep_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "PATIENCE_S", 0.05)
    loading, wake = threading.Event(), threading.Event()

    class SlowExplainers(FakeExplainers):
        def make(self, wanted: ExplainRequest) -> FakeLiveExplainer:
            loading.set()
            expect(wake)
            return super().make(wanted)

    scene = Scene(lambda scene: (expect(loading), pressing("q")(scene)), explainers=SlowExplainers())
    assert scene.run().figures.shown == 1
    assert "streamcam-explainer" in [thread.name for thread in threading.enumerate()]
    wake.set()


def test_figures_are_written_each_second_and_for_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamcam.session.status._STATS_EVERY_S", 0.0)
    path = tmp_path / "stats.jsonl"
    with StatsFile(path) as file:
        Scene(wait_for_facts, go, go, stats=file).run()
    *seconds, whole = [json.loads(line) for line in path.read_text().splitlines()]
    assert whole["whole_run"] is True
    assert (whole["captured"], whole["shown"], whole["dropped"]) == (4, 4, 0)
    assert whole["frame_age_ms"]["median"] > 0
    assert (whole["method"], whole["backend"], whole["precision"]) == ("gradcam", "torch", "fp32")
    assert sum(second["shown"] for second in seconds) <= 4
    assert all("whole_run" not in second for second in seconds)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full, as Linux has it")
def test_figures_that_cannot_be_written_do_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamcam.session.status._STATS_EVERY_S", 0.0)
    with StatsFile(Path("/dev/full")) as file:
        scene = Scene(go, go, stats=file)
        result = scene.run()
    assert result.figures.shown == 3
    assert result.problems == ("cannot write '/dev/full': No space left on device",)


def test_a_display_that_breaks_at_the_end_costs_no_recording(tmp_path: Path) -> None:
    scene = Scene(go, settings=LiveSettings(view=PLAIN, record=tmp_path / "out.mp4"))

    def break_down() -> None:
        raise SinkError("the window is gone")

    scene.display.close = break_down  # type: ignore[method-assign]
    with pytest.raises(SinkError, match="the window is gone"):
        scene.run()
    assert scene.preview._keeper.problems == ()
    assert [recorder.written for recorder in scene.preview._keeper.recordings] == [2]
    assert len(frame_times_of(tmp_path / "out.mp4")) == 2


def test_a_recording_that_cannot_begin_is_told_before_anything_is_shown(tmp_path: Path) -> None:
    settings = LiveSettings(view=PLAIN, record=tmp_path / "nowhere" / "out.mp4")
    scene = Scene(settings=settings)
    with pytest.raises(SinkError, match="there is no directory"):
        scene.run()
    assert scene.display.shown == []


def test_images_are_drawn_at_the_windows_size() -> None:
    scene = Scene(go)
    scene.display._size = (321, 200)
    scene.run()
    sizes: set[tuple[int, int]] = {(p.width, p.height) for p in scene.display.shown}
    assert sizes == {(320, 200)}


def test_an_image_is_saved_without_what_is_written_over_it(tmp_path: Path) -> None:
    scene = Scene(
        lambda scene: (pressing("h", "p")(scene), go(scene)),
        settings=LiveSettings(view=PLAIN, folder=tmp_path),
    )
    result = scene.run()
    (path,) = result.saved
    assert path.parent == tmp_path
    with Image.open(path) as saved:
        assert saved.size == (64, 48)
        assert np.ptp(np.asarray(saved.convert("L"))) == 0


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="handles are counted as Linux lists them")
def test_no_handle_is_left(tmp_path: Path) -> None:
    def run_once(number: int) -> int:
        record = tmp_path / f"{number}.mp4"
        with StatsFile(tmp_path / f"{number}.jsonl") as file:
            settings = LiveSettings(view=PLAIN, record=record, folder=tmp_path)
            Scene(go, lambda scene: (pressing("p")(scene), go(scene)), settings=settings, stats=file).run()
        return len(list(Path("/proc/self/fd").iterdir()))

    first, *others = [run_once(number) for number in range(4)]
    assert set(others) == {first}
