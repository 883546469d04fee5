"""What a processor rounds by."""

from __future__ import annotations

import pytest

from streamcam.explain.backends import backbone
from streamcam.explain.processor import instructions_in

ZEN_2 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse4_2 avx avx2 fma sse hypervisor\n"
ZEN_4 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu sse avx512_vnni avx2 avx\n\nflags\t: none\n"
CORTEX = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd evtstrm crc32 asimddp\n"


@pytest.mark.parametrize(
    ("description", "instructions"),
    [
        (ZEN_2, ("avx", "avx2", "fma", "sse", "sse4_2")),
        (ZEN_4, ("avx", "avx2", "avx512_vnni", "sse")),
        (CORTEX, ("asimd", "asimddp")),
        ("", ()),
    ],
)
def test_those_of_the_first_processor_in_order(description: str, instructions: tuple[str, ...]) -> None:
    assert instructions_in(description) == instructions


def test_processors_of_one_name_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    described = []
    for description in (ZEN_2, ZEN_4):
        monkeypatch.setattr(backbone, "vector_instructions", lambda text=description: instructions_in(text))
        described.append(backbone.describe_device("CPU"))
    assert described[0] != described[1]
    assert described[1].endswith(" avx avx2 avx512_vnni sse")
