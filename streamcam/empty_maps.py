"""Maps that show nothing: the reasons, each with the way out in words."""

from __future__ import annotations

NOT_FINITE = "not finite"
"""The value in `Explanation.flags` for a map that contained NaN or infinity."""
ALL_NEGATIVE = "all negative"
"""The value for a map without positive evidence, of which nothing is left."""
NO_EVIDENCE = "no evidence"
"""The value for a map that is zero everywhere."""
NOTHING_FOUND = "nothing found"
"""The value for a map that is zero because a detector or segmenter found nothing of the class."""
CONSTANT = "constant"
"""The value for a map that is the same everywhere."""

_OTHER_MAPS = "another `target_layer` or `method`, as 'ablationcam' or 'occlusion'"

EMPTY_MAPS: dict[str, str] = {
    NOT_FINITE: "the network's answers or gradients are NaN or infinite; check its `weights`, or try "
    "`precision='fp32'`",
    ALL_NEGATIVE: "every place speaks against the class; `method='hirescam'` with `signed=True` shows that, "
    f"or try {_OTHER_MAPS}",
    NO_EVIDENCE: f"no place has an influence on the score; try {_OTHER_MAPS}",
    NOTHING_FOUND: "the network finds nothing of the kind; try another class, or a lower `confidence` of a "
    "detector",
    CONSTANT: f"every place counts the same; try {_OTHER_MAPS}",
}
"""Value in `Explanation.flags` → why the map shows nothing, and the way out."""

BLANK_MAPS = frozenset({NOT_FINITE, ALL_NEGATIVE, NO_EVIDENCE, NOTHING_FOUND})
"""Those of maps without any heat; of an image that is the same everywhere, a constant map is right."""

MOSTLY_HIDDEN = 0.5
"""Maps of a regressor are noted above this share of evidence that is left out, see `Explanation.hidden`."""

WAY_TO_HIDDEN = (
    "most of the evidence lowers the value, and is not in the map; `method='hirescam'` with "
    "`signed=True` shows both"
)
"""Sentence about such maps, with the way out."""
