"""``streamcam.live``: a source and a network, shown in real time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, overload

from streamcam.errors import InvalidArgumentError, SinkError
from streamcam.files import check_output
from streamcam.models.model_names import takes_clips
from streamcam.session import explainers, window
from streamcam.session.captures import Recordings, Snapshots, file_name
from streamcam.session.command_sources import CommandSource
from streamcam.session.evidence import LiveEvidence
from streamcam.session.notebook import NOTEBOOK, NotebookSession, page_for_notebook
from streamcam.session.outputs import Output, StatisticsFile
from streamcam.session.page.page import Page
from streamcam.session.publishing import Publishing
from streamcam.session.result import LiveResult
from streamcam.session.session import LiveSession
from streamcam.session.settings import LiveSettings, StreamSettings
from streamcam.session.state import ExplainRequest
from streamcam.session.streams import Stream, name_streams
from streamcam.session.threads import ExplainerFor, check_alone, check_moving
from streamcam.session.virtual_camera import VirtualCamera
from streamcam.sinks import check_recording
from streamcam.sources import LentCamera, Source, open_source

if TYPE_CHECKING:
    from streamcam.explain import Explainer
    from streamcam.models import Model


Location = str | int | Path


@overload
def live(
    source: Location | Source | Sequence[Location | Source | StreamSettings],
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    display: Literal["notebook"],
    settings: LiveSettings | None = None,
    outputs: Iterable[Output] = (),
    commands: Iterable[CommandSource] = (),
    announce: Callable[[str], None] = lambda _text: None,
) -> NotebookSession: ...


@overload
def live(
    source: Location | Source | Sequence[Location | Source | StreamSettings],
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    display: None = None,
    settings: LiveSettings | None = None,
    outputs: Iterable[Output] = (),
    commands: Iterable[CommandSource] = (),
    announce: Callable[[str], None] = lambda _text: None,
) -> LiveResult: ...


def live(
    source: Location | Source | Sequence[Location | Source | StreamSettings],
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    display: str | None = None,
    settings: LiveSettings | None = None,
    outputs: Iterable[Output] = (),
    commands: Iterable[CommandSource] = (),
    announce: Callable[[str], None] = lambda _text: None,
) -> LiveResult | NotebookSession:
    """Show where a network looks, as it happens, until the window is closed or the source ends.

    Runs in the caller's thread, which must be the main one where a window is shown. In the window, h shows
    the keys. With ``display="notebook"`` it runs beside: what is returned shows the page in an output cell.

    Args:
        source: A camera's number, a stream's URL, a video, which is played at its own pace, or an open
            source; or several, which are shown as tiles and share the network. Of these, one that fails or
            ends leaves the others alone.
        explainer: A `streamcam.Explainer`, a model or its name, or a function that returns an explainer for
            an `ExplainRequest`; the default model if None.
        display: ``"notebook"`` to show it there; otherwise `settings` say where.
        settings: How the session runs; the defaults if None.
        outputs: Where else frames go, besides what the settings name.
        commands: Where else commands come from, besides the window.
        announce: Receives, in words, what those should know who see no window: that the source is gone.

    Raises:
        StreamcamError: one of its children, if the source, the network or an output cannot be used.
    """
    page: Page | None = None
    if display is not None:
        if display != NOTEBOOK:
            raise InvalidArgumentError(
                f"`display` {display!r} is a setting: LiveSettings(display={display!r}); only 'notebook' is "
                "given here"
            )
        settings = dataclasses.replace(settings or LiveSettings(), display="none")
        page = page_for_notebook(settings.page)
    session = open_session(
        source,
        explainer,
        settings=settings,
        outputs=outputs if page is None else [page, *outputs],
        commands=commands,
        announce=announce,
    )
    return session.run() if page is None else NotebookSession(session, page)


def open_session(
    source: Location | Source | Sequence[Location | Source | StreamSettings],
    explainer: str | Model | Explainer | ExplainerFor | None = None,
    *,
    settings: LiveSettings | None = None,
    request: ExplainRequest | None = None,
    model: str | None = None,
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
        model: Name of the network that the explainer will load, where that is not the explainer itself.
        outputs: More outputs; see `live`.
        commands: More sources of commands; see `live`.
        announce: Receives messages for those who see no window; see `live`.
        wording: Names parameters in messages as those call them who see these; as they are by default.

    Raises:
        StreamcamError: one of its children, if a setting, the source or the display cannot be used.
    """
    settings = settings or LiveSettings()
    settings.check()
    sources = [source] if isinstance(source, str | int | Path | Source) else list(source)
    if not sources:
        raise InvalidArgumentError("there is no source to show; name at least one")
    name = explainer if isinstance(explainer, str) else model or ""
    if takes_clips(name):
        check_alone(len(sources), name)
    explainer_for, request = _explainer_for(explainer, request, len(sources))
    streams: list[Stream] = []
    all_outputs: list[Output] = []
    try:
        folder = Path(settings.folder)
        streams += _open_streams(sources, settings)
        if takes_clips(name):
            check_moving(streams[0].source, name)
        cameras = _lent_cameras(streams)
        displays = settings.displays or (("page",) if cameras else ("window",))
        if cameras and "page" not in displays:
            raise InvalidArgumentError(
                "a browser lends its camera to the page; use `display='page'` or `display='window,page'`"
            )
        if "page" in displays:
            all_outputs.append(Page(settings.page, cameras, beside=_done_beside(settings)))
        if "window" in displays:
            names = name_streams(streams)
            all_outputs.append(_open_window(names[0] if len(names) == 1 else f"{len(names)} streams"))
        if settings.virtual_camera:
            all_outputs.append(VirtualCamera())
        all_outputs += [*outputs, *map(Publishing, settings.publish)]
        if len(streams) == 1 and not streams[0].outputs:
            record = None if settings.record is None else Path(settings.record)
            all_outputs.append(Recordings(folder, record=record))
        all_outputs.append(Snapshots(folder))
        if settings.evidence is not None and len(streams) == 1:
            all_outputs.append(_keep_evidence(Path(settings.evidence), streams[0].source, settings))
        if settings.statistics is not None:
            all_outputs.append(StatisticsFile(Path(settings.statistics)))
    except BaseException:
        for output in all_outputs:
            output.close()
        for stream in streams:
            stream.source.close()
        raise
    return LiveSession(
        streams,
        explainer_for,
        all_outputs,
        settings,
        request=request,
        commands=commands,
        announce=announce,
        wording=wording,
    )


def _open_streams(
    sources: Sequence[Location | Source | StreamSettings], settings: LiveSettings
) -> list[Stream]:
    """Open all sources; of several, each gets recordings and evidence of its own.

    Raises:
        StreamcamError: one of its children, if one cannot be opened or recorded; the others are closed.
    """
    named: list[tuple[StreamSettings | None, Stream]] = []
    try:
        for given in sources:
            if isinstance(given, Source):
                named.append((None, Stream(given)))
                continue
            each = given if isinstance(given, StreamSettings) else StreamSettings(given)
            reading = dataclasses.replace(each.reading or settings.source, real_time=True)
            named.append((each, Stream(open_source(each.source, reading), each.name)))
        if len(named) == 1 and (named[0][0] is None or named[0][0].record is None):
            return [named[0][1]]
        names = name_streams([stream for _, stream in named])
        folder = Path(settings.folder)
        streams = []
        for (each_settings, stream), name in zip(named, names, strict=True):
            given_record = None if each_settings is None else each_settings.record
            record = _file_of(name, settings.record) if given_record is None else Path(given_record)
            if record is not None:
                check_recording(record, overwrite=settings.overwrite)
            outputs: list[Output] = [Recordings(folder, record=record, name=name)]
            evidence = _file_of(name, settings.evidence)
            if evidence is not None and len(named) > 1:
                outputs.append(_keep_evidence(evidence, stream.source, settings))
            streams.append(dataclasses.replace(stream, name=name, outputs=tuple(outputs)))
    except BaseException:
        for _, stream in named:
            stream.source.close()
        raise
    return streams


def _file_of(name: str, path: str | Path | None) -> Path | None:
    """Return the file of one stream of several, for the one that is named for all; None for none."""
    return None if path is None else Path(path).with_stem(f"{Path(path).stem}-{file_name(name)}")


def _lent_cameras(streams: Sequence[Stream]) -> dict[str, LentCamera]:
    """Return the sources that the page hands images to, by the names of their streams."""
    named = zip(name_streams(streams), streams, strict=True)
    return {name: each.source for name, each in named if isinstance(each.source, LentCamera)}


def _done_beside(settings: LiveSettings) -> list[str]:
    """Return what a session does with images besides showing them, as `Page` takes it."""
    is_sent_on = bool(settings.publish) or settings.virtual_camera
    done = {"evidence": settings.evidence is not None, "publish": is_sent_on}
    return [name for name, is_done in done.items() if is_done]


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
    explainer: str | Model | Explainer | ExplainerFor | None, request: ExplainRequest | None, streams: int
) -> tuple[ExplainerFor, ExplainRequest]:
    """Return what makes explainers, and the first request."""
    first = request or ExplainRequest()
    if explainer is None or isinstance(explainer, str):
        arguments = {} if explainer is None else {"name": explainer}
        return explainers.Explainers(explainers.build_from_model(arguments, streams)), first
    if callable(explainer):
        return explainer, first
    from streamcam.explain import Explainer  # only now: it imports torch, which takes seconds

    if isinstance(explainer, Explainer):
        first = request or ExplainRequest(explainer.method, explainer.target_layer or "auto")
        return explainers.Explainers(explainers.build_from_explainer(explainer, streams)), first
    return explainers.Explainers(explainers.build_from_model(explainer, streams)), first
