"""A font whose letters reach far beyond the usual line, as those of Urdu Nastaliq or Tibetan do."""

from __future__ import annotations

from pathlib import Path

from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib.tables._g_l_y_f import Glyph

TALL, DEEP, WIDE = "αβγ"
"""Letters 2 em high, 1.5 em deep, and reaching 0.8 em beyond their advance on both sides."""


def write_tall_font(path: Path) -> Path:
    """Write a font of `TALL`, `DEEP` and `WIDE`, besides a space and an ellipsis."""
    boxes = {
        "tall": (100, 0, 500, 2000),
        "deep": (100, -1500, 500, 700),
        "wide": (-800, 0, 1400, 700),
        "dots": (100, 0, 500, 100),
    }
    names = [".notdef", "space", *boxes]
    builder = FontBuilder(unitsPerEm=1000)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap(
        {ord(" "): "space", ord(TALL): "tall", ord(DEEP): "deep", ord(WIDE): "wide", ord("…"): "dots"}
    )
    builder.setupGlyf({name: _draw_box(*boxes.get(name, (0, 0, 0, 0))) for name in names})
    builder.setupHorizontalMetrics({name: (600, boxes.get(name, (0,))[0]) for name in names})
    builder.setupHorizontalHeader(ascent=900, descent=-300)
    builder.setupOS2(sTypoAscender=900, sTypoDescender=-300)
    builder.setupPost()
    builder.save(path)
    return path


def _draw_box(left: int, bottom: int, right: int, top: int) -> Glyph:
    pen = TTGlyphPen(None)
    if right > left:
        pen.moveTo((left, bottom))
        pen.lineTo((left, top))
        pen.lineTo((right, top))
        pen.lineTo((right, bottom))
        pen.closePath()
    return pen.glyph()
