"""Breaking text into lines."""

from __future__ import annotations

from streamcam.overlay.fonts import FontBook, clusters


def wrap_text(book: FontBook, text: str, width: float, most: int) -> list[str]:
    """Break a text into lines that fit: between words, or within one that is too long for a line.

    Args:
        book: The fonts, at the size of the text.
        text: The text; its own line breaks are kept.
        width: Width of a line in pixels.
        most: Number of lines, from 1; the last one ends with an ellipsis if more are needed.

    Returns:
        The lines; none if not even a letter with an ellipsis fits.
    """
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}" if line else word
            if book.measure(longer) <= width:
                line = longer
                continue
            *full, line = [line, *_break_word(book, word, width)]
            lines += filter(None, full)
        lines += filter(None, [line])
    if len(lines) > most:
        lines[most - 1 :] = [book.truncate(" ".join(lines[most - 1 :]), width)]
    return [line for line in lines if line and book.measure(line) <= width]


def _break_word(book: FontBook, word: str, width: float) -> list[str]:
    """Break a word into pieces that fit, of one character at least."""
    pieces = [""]
    for cluster in clusters(word):
        if pieces[-1] and book.measure(pieces[-1] + cluster) > width:
            pieces.append("")
        pieces[-1] += cluster
    return pieces
