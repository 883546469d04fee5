"""Weights that several OpenVINO graphs share: each array is stored once."""

from __future__ import annotations

import hashlib
import tempfile
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import TYPE_CHECKING

from streamcam.models.openvino_runtime import load_openvino

if TYPE_CHECKING:
    import openvino

_ALIGNMENT = 64
"""Bytes; processors read arrays best that begin at a multiple of this."""


class SharedWeights:
    """Collects the arrays of graphs: what follows the target layer has the same ones for every shape."""

    def __init__(self) -> None:
        """Begin without any."""
        self._content = bytearray()
        self._offsets: dict[bytes, int] = {}

    def save(self, model: openvino.Model) -> bytes:
        """Return a graph as OpenVINO's XML, and keep its arrays."""
        with tempfile.TemporaryDirectory(prefix="streamcam-") as folder:
            path = Path(folder) / "graph.xml"
            load_openvino().save_model(model, path, compress_to_fp16=False)
            arrays = path.with_suffix(".bin").read_bytes()
            graph = ElementTree.parse(path)
        for data in graph.iter("data"):  # of every constant, also of those inside of loops
            if "offset" in data.attrib and "size" in data.attrib:
                begin, length = int(data.attrib["offset"]), int(data.attrib["size"])
                data.attrib["offset"] = str(self._place(arrays[begin : begin + length]))
        text: bytes = ElementTree.tostring(graph.getroot(), encoding="utf-8", xml_declaration=True)
        return text

    def content(self) -> bytes:
        """Return all arrays."""
        return bytes(self._content)

    def _place(self, array: bytes) -> int:
        digest = hashlib.sha256(array).digest()
        if digest not in self._offsets:
            self._content += bytes(-len(self._content) % _ALIGNMENT)
            self._offsets[digest] = len(self._content)
            self._content += array
        return self._offsets[digest]
