"""TIFF files of several pages, as microscopes and scanners write them: each page is a frame."""

from __future__ import annotations

from pathlib import Path

import PIL.Image

from streamcam.errors import SourceError
from streamcam.sources.base import Source
from streamcam.sources.files import is_file
from streamcam.sources.pixels import read_head
from streamcam.sources.sequences import ImageFiles, open_images
from streamcam.sources.settings import SourceSettings

_SIGNATURES = (b"II*\0", b"MM\0*")

_SUBFILE_TYPE = 254
"""The tag of what a page is."""

_REDUCED = 1
"""The bit of a smaller copy of another page: a thumbnail, or a level of a pyramid."""


def is_paged(location: str | int | Path) -> bool:
    """Return whether a location is a TIFF file of several pages, without smaller copies of others."""
    return is_file(location) and len(_pages_of(Path(str(location)))) > 1


def open_pages(location: str | int | Path, settings: SourceSettings) -> Source:
    """Open a TIFF file of several pages as a video; 25 pages a second without `rate`.

    Raises:
        SourceError: if the first page cannot be decoded.
    """
    path = Path(str(location))
    pages = _pages_of(path)
    if not pages:
        raise SourceError(f"{str(path)!r} cannot be decoded as an image")
    return open_images(path, ImageFiles([path], pages=pages), settings)


def _pages_of(path: Path) -> list[int]:
    """List the pages that are no copies; none where the file cannot be read."""
    try:
        if not read_head(path).startswith(_SIGNATURES):
            return []
        with PIL.Image.open(path) as opened:
            pages = []
            for page in range(getattr(opened, "n_frames", 1)):
                opened.seek(page)
                if not int(getattr(opened, "tag_v2", {}).get(_SUBFILE_TYPE, 0)) & _REDUCED:
                    pages.append(page)
            return pages
    except Exception:  # Pillow's decoders raise what they like; reported when it is opened as an image
        return []
