"""DASH manifests, rewritten as HLS playlists: FFmpeg's packages for Python have no reader of DASH."""

from __future__ import annotations

import dataclasses
import itertools
import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import xml.etree.ElementTree as ET

_DURATION = re.compile(r"P(?:(\d+)D)?T?(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?")
_FIELD = re.compile(r"\$(?:(RepresentationID|Number|Time|Bandwidth)(?:%0(\d+)d)?)?\$")
_LONGEST_NAME_DIGITS = 20
_MOST_SEGMENTS = 1_000_000
_AUDIO = "audio"
_SEGMENT_TAGS = ("SegmentTemplate", "SegmentList", "SegmentBase")


@dataclasses.dataclass(frozen=True, slots=True)
class _Segment:
    address: str
    duration_s: float
    byte_range: str | None = None
    """Its part of a file: length@offset."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Track:
    """One representation of a manifest: what it is, and its segments."""

    kind: str
    bandwidth: int
    segments: tuple[_Segment, ...]
    header: _Segment | None = None
    language: str = "und"


def playlists_of(manifest: bytes, name: str) -> dict[str, bytes]:
    """Rewrite a DASH manifest as HLS playlists: the video of the highest bandwidth, and all audio tracks.

    Args:
        manifest: Its text (ISO/IEC 23009-1), of one period that is complete.
        name: Its file's name.

    Returns:
        Name → playlist. The first one, under the manifest's own name, leads to the others.

    Raises:
        ValueError: if it is no manifest, or one that cannot be rewritten, in words for the user.
    """
    import xml.etree.ElementTree as ET  # few videos are in DASH

    try:
        root = ET.fromstring(manifest)
    except ET.ParseError as error:
        raise ValueError(f"it is no manifest ({error})") from None
    if root.get("type") == "dynamic":
        raise ValueError("it is still being written; wait for its end")
    periods = _children(root, "Period")
    if len(periods) != 1:
        raise ValueError(f"it has {len(periods)} periods; streamcam reads one")
    length_s = _seconds(periods[0].get("duration") or root.get("mediaPresentationDuration"))
    tracks = [track for track in _tracks(root, periods[0], length_s) if track.segments]
    videos = [track for track in tracks if track.kind == "video"]
    if not videos:
        raise ValueError("it names no video")
    chosen = [max(videos, key=lambda track: track.bandwidth)]
    chosen += [track for track in tracks if track.kind == _AUDIO]
    names = [f"{name}.{number}.m3u8" for number in range(len(chosen))]
    lines = ["#EXTM3U"]
    for number, (track, part) in enumerate(zip(chosen[1:], names[1:], strict=True)):
        lines.append(
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="{number}",LANGUAGE="{track.language}",URI="{part}"'
        )
    group = ',AUDIO="a"' if len(chosen) > 1 else ""
    lines += [f"#EXT-X-STREAM-INF:BANDWIDTH={chosen[0].bandwidth}{group}", names[0], ""]
    parts = {part: _playlist(track) for part, track in zip(names, chosen, strict=True)}
    return {name: "\n".join(lines).encode(), **parts}


def _playlist(track: _Track) -> bytes:
    longest_s = math.ceil(max(segment.duration_s for segment in track.segments))
    lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{longest_s}"]
    if track.header is not None:
        part = f',BYTERANGE="{track.header.byte_range}"' if track.header.byte_range else ""
        lines.append(f'#EXT-X-MAP:URI="{track.header.address}"{part}')
    for segment in track.segments:
        lines.append(f"#EXTINF:{segment.duration_s:.6f},")
        if segment.byte_range:
            lines.append(f"#EXT-X-BYTERANGE:{segment.byte_range}")
        lines.append(segment.address)
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def _tracks(root: ET.Element, period: ET.Element, length_s: float) -> Iterator[_Track]:
    """Yield the representations; of audio the best of each set, which is one language."""
    for adaptation in _children(period, "AdaptationSet"):
        tracks = [
            _track((root, period, adaptation, representation), length_s)
            for representation in _children(adaptation, "Representation")
        ]
        if tracks and tracks[0].kind == _AUDIO:
            tracks = [max(tracks, key=lambda track: track.bandwidth)]
        yield from tracks


def _track(path: Sequence[ET.Element], length_s: float) -> _Track:
    """Read one representation.

    Args:
        path: The elements that it lies in, from the outermost on, and itself.
        length_s: The length of its period.
    """
    adaptation, representation = path[-2:]
    kinds = (word for element in (representation, adaptation) for word in _kinds_of(element))
    kind = next(kinds, "").partition("/")[0]
    bases = (child for element in path for child in _children(element, "BaseURL")[:1])
    base = "".join(child.text.strip() for child in bases if child.text)
    bandwidth = int(representation.get("bandwidth", "0"))
    fields: dict[str, str | int] = {
        "RepresentationID": representation.get("id", ""),
        "Bandwidth": bandwidth,
    }
    header: _Segment | None = None
    segments: tuple[_Segment, ...] = (_Segment(base, length_s),)  # one file, which is a video by itself
    levels = [
        (tag, child) for element in path for tag in _SEGMENT_TAGS for child in _children(element, tag)[:1]
    ]
    if levels:
        tag = levels[-1][0]
        elements = [child for level, child in levels if level == tag]
        if tag == "SegmentTemplate":
            header, segments = _from_template(elements, base, fields, length_s)
        elif tag == "SegmentList":
            header, segments = _from_list(elements[-1], base, length_s)
    return _Track(kind, bandwidth, segments, header, adaptation.get("lang", "und"))


def _kinds_of(element: ET.Element) -> list[str]:
    return [word for word in (element.get("contentType"), element.get("mimeType")) if word]


def _from_template(
    elements: Sequence[ET.Element], base: str, fields: dict[str, str | int], length_s: float
) -> tuple[_Segment | None, tuple[_Segment, ...]]:
    settings = {name: value for element in elements for name, value in element.attrib.items()}
    timescale, number = int(settings.get("timescale", "1")), int(settings.get("startNumber", "1"))
    media = settings.get("media", "")
    segments = [
        _Segment(base + _fill(media, {**fields, "Number": number + index, "Time": start}), length / timescale)
        for index, (start, length) in enumerate(_times(elements, settings, round(length_s * timescale)))
    ]
    initialization = settings.get("initialization")
    header = None if initialization is None else _Segment(base + _fill(initialization, fields), 0)
    return header, tuple(segments)


def _times(
    elements: Sequence[ET.Element], settings: dict[str, str], length: int
) -> Iterator[tuple[int, int]]:
    """Yield the start and length of each segment, in ticks."""
    timelines = [timeline for element in elements for timeline in _children(element, "SegmentTimeline")]
    if timelines:
        start = 0
        for entry in _children(timelines[-1], "S"):
            start, step = int(entry.get("t", start)), int(entry.get("d", "0"))
            repeats = int(entry.get("r", "0"))
            if repeats < 0:  # up to the end
                repeats = math.ceil((length - start) / step) - 1
            for _ in range(_checked(repeats + 1)):
                yield start, step
                start += step
    elif "duration" in settings:
        step = int(settings["duration"])
        for index in range(_checked(math.ceil(length / step))):
            yield index * step, min(step, length - index * step)
    else:
        yield 0, length


def _from_list(
    element: ET.Element, base: str, length_s: float
) -> tuple[_Segment | None, tuple[_Segment, ...]]:
    entries = _children(element, "SegmentURL")
    timescale = int(element.get("timescale", "1"))
    times = _times([element], dict(element.attrib), round(length_s * timescale))
    durations = itertools.chain((length / timescale for _, length in times), itertools.repeat(0.0))
    segments = [
        _Segment(
            base + entry.get("media", ""),
            duration_s or length_s / len(entries),
            _byte_range(entry.get("mediaRange")),
        )
        for entry, duration_s in zip(entries, durations, strict=False)
    ]
    header = None
    for initialization in _children(element, "Initialization"):
        address = base + initialization.get("sourceURL", "")
        header = _Segment(address, 0, _byte_range(initialization.get("range")))
    return header, tuple(segments)


def _fill(template: str, fields: dict[str, str | int]) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] is None:  # $$
            return "$"
        width = min(int(match[2] or 0), _LONGEST_NAME_DIGITS)
        return str(fields.get(match[1], "")).zfill(width)

    return _FIELD.sub(value, template)


def _checked(count: int) -> int:
    if count > _MOST_SEGMENTS:
        raise ValueError(f"it names {count} segments")
    return count


def _byte_range(text: str | None) -> str | None:
    """Convert first-last into length@first."""
    if text is None:
        return None
    first, last = (int(number) for number in text.split("-"))
    return f"{last - first + 1}@{first}"


def _seconds(text: str | None) -> float:
    match = _DURATION.fullmatch(text or "")
    if match is None:
        return 0.0
    days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _children(element: ET.Element, tag: str) -> list[ET.Element]:
    """Return an element's children of a name, whatever their namespace."""
    return [child for child in element if child.tag.rpartition("}")[2] == tag]
