"""``streamcam.live``: a source and a network, shown in real time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.session import explainers, window
from streamcam.session.captures import Recordings, Snapshots
from streamcam.session.command_sources import CommandSource
from streamcam.session.evidence import LiveEvidence
from streamcam.session.outputs import Output, StatisticsFile
from streamcam.session.page.page import Page
from streamcam.session.publishing import Publishing
from streamcam.session.result import LiveResult
from streamcam.session.session import LiveSession
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest
from streamcam.session.threads import ExplainerFor
from streamcam.session.virtual_camera import VirtualCamera
from streamcam.sinks import check_output
from streamcam.sources import LentCamera, Source, SourceSettings, open_source

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.models import Model


def live(
    source: str | int | Path | Source,
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    settings: LiveSettings | None = None,
    outputs: Iterable[Output] = (),
    commands: Iterable[CommandSource] = (),
    announce: Callable[[str], None] = lambda _text: None,
) -> LiveResult:
    """Show where a network looks, as it happens, until the window is closed or the source ends.

    Runs in the caller's thread, which must be the main one where a window is shown. In the window, h shows
    the keys.

    Args:
        source: A camera's number, a stream's URL, a video, which is played at its own pace, or an open
            source.
        explainer: A `streamcam.Explainer`, a model or its name, or a function that returns an explainer for
            an `ExplainRequest`; the default model if None.
        settings: How the session runs; the defaults if None.
        outputs: Where else frames go, besides what the settings name.
        commands: Where else commands come from, besides the window.
        announce: Receives, in words, what those should know who see no window: that the source is gone.

    Raises:
        StreamcamError: one of its children, if the source, the network or an output cannot be used.
    """
    session = open_session(
        source,
        explainer,
        settings=settings,
        outputs=outputs,
        commands=commands,
        announce=announce,
    )
    return session.run()


def open_session(
    source: str | int | Path | Source,
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    settings: LiveSettings | None = None,
    request: ExplainRequest | None = None,
    outputs: Iterable[Output] = (),
    commands: Iterable[CommandSource] = (),
    announce: Callable[[str], None] = lambda _text: None,
    wording: Callable[[str], str] = str,
) -> LiveSession:
    """Check everything, open the source and the display, and return a session that is ready to run.

    Args:
        source: The source; see `live`.
        explainer: The explainer, or what makes it; see `live`.
        settings: The settings of the session.
        request: What to explain at first; what the explainer was built for, or what explainers explain by
            default, if None.
        outputs: More outputs; see `live`.
        commands: More sources of commands; see `live`.
        announce: Receives messages for those who see no window; see `live`.
        wording: Names parameters in messages as those call them who see these; as they are by default.

    Raises:
        StreamcamError: one of its children, if a setting, the source or the display cannot be used.
    """
    settings = settings or LiveSettings()
    settings.check()
    explainer_for, request = _explainer_for(explainer, request)
    opened = source if isinstance(source, Source) else _open(source, settings.source)
    all_outputs: list[Output] = []
    try:
        folder = Path(settings.folder)
        camera = opened if isinstance(opened, LentCamera) else None
        displays = settings.displays or (("window",) if camera is None else ("page",))
        if camera is not None and "page" not in displays:
            raise InvalidArgumentError(
                "a browser lends its camera to the page; use `display='page'` or `display='window,page'`"
            )
        if "page" in displays:
            all_outputs.append(Page(settings.page, camera))
        if "window" in displays:
            all_outputs.append(_open_window(opened.info.name))
        if settings.virtual_camera:
            all_outputs.append(VirtualCamera())
        all_outputs += [*outputs, *map(Publishing, settings.publish)]
        record = None if settings.record is None else Path(settings.record)
        all_outputs += [Recordings(folder, record=record), Snapshots(folder)]
        if settings.evidence is not None:
            all_outputs.append(_keep_evidence(Path(settings.evidence), opened, settings))
        if settings.statistics is not None:
            all_outputs.append(StatisticsFile(Path(settings.statistics)))
    except BaseException:
        for output in all_outputs:
            output.close()
        opened.close()
        raise
    return LiveSession(
        opened,
        explainer_for,
        all_outputs,
        settings,
        request=request,
        commands=commands,
        announce=announce,
        wording=wording,
    )


def _open(location: str | int | Path, settings: SourceSettings) -> Source:
    return open_source(location, dataclasses.replace(settings, real_time=True))


def _keep_evidence(path: Path, source: Source, settings: LiveSettings) -> LiveEvidence:
    info = source.info
    check_output(path, overwrite=settings.overwrite, inputs=(info.path, *info.files))
    plain = {
        name: dataclasses.asdict(getattr(settings, name))
        for name in ("source", "overlay", "temporal", "localization")
    }
    return LiveEvidence(path, source, plain, command=settings.command, overwrite=settings.overwrite)


def _open_window(name: str) -> window.Window:
    """Return a window that can be opened.

    Raises:
        SinkError: if there is no display.
    """
    problem = window.find_display()
    if problem is not None:
        raise SinkError(problem)
    return window.Window(f"streamcam: {name}")


def _explainer_for(
    explainer: str | Model | Explainer | ExplainerFor | None, request: ExplainRequest | None
) -> tuple[ExplainerFor, ExplainRequest]:
    """Return what makes explainers, and the first request."""
    first = request or ExplainRequest()
    if explainer is None or isinstance(explainer, str):
        arguments = {} if explainer is None else {"name": explainer}
        return explainers.Explainers(explainers.build_from_model(arguments)), first
    if callable(explainer):
        return explainer, first
    from streamcam.explain import Explainer  # only now: it imports torch, which takes seconds

    if isinstance(explainer, Explainer):
        first = request or ExplainRequest(explainer.method, explainer.target_layer or "auto")
        return explainers.Explainers(explainers.build_from_explainer(explainer)), first
    return explainers.Explainers(explainers.build_from_model(explainer)), first
