"""High dynamic range: where the colors of ordinary screens lie on its scales."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TRANSFERS = {16: "PQ", 18: "HLG"}
"""AVColorTransferCharacteristic → its name: SMPTE ST 2084, and ARIB STD-B67."""

WHITE_NITS = 203
"""How bright a white sheet of paper, or white text, is to be (ITU-R BT.2408)."""

_HLG_PEAK_NITS, _HLG_GAMMA = 1000, 1.2  # of the screen that BT.2408 reckons with

# BT.709's primaries in BT.2020's (ITU-R BT.2087).
_TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]], np.float32
)

_BT2020_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], np.float32)


def sdr_in_hdr(rgb: NDArray[np.float32], transfer: str) -> NDArray[np.float32]:
    """Code colors of an ordinary screen so that they look the same within an image of high dynamic range.

    Args:
        rgb: float32 (..., 3), 0 to 255, sRGB.
        transfer: ``"PQ"`` or ``"HLG"``.

    Returns:
        float32 (..., 3), 0 to 255 on the scale of that transfer function, of BT.2020's primaries.
    """
    code = np.clip(rgb / 255, 0, 1)
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4) @ _TO_BT2020.T
    nits = WHITE_NITS * light.clip(0)
    coded = _pq(nits / 10000) if transfer == "PQ" else _hlg(_scene(nits / _HLG_PEAK_NITS))
    return np.asarray(255 * coded, np.float32)


def _scene(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """ITU-R BT.2100: light of the screen as a share of its peak → light of the scene, with HLG."""
    luminance = (light @ _BT2020_LUMINANCE)[..., None]
    return np.asarray(light * np.maximum(luminance, 1e-6) ** (1 / _HLG_GAMMA - 1))


def _pq(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """SMPTE ST 2084: light as a share of 10,000 nits → code, 0 to 1."""
    powered = light ** (1305 / 8192)
    ratio = (107 / 128 + 2413 / 128 * powered) / (1 + 2392 / 128 * powered)
    return np.asarray(ratio ** (2523 / 32))


def _hlg(light: NDArray[np.floating]) -> NDArray[np.floating]:
    """ARIB STD-B67: light in the scene, 0 to 1 → code, 0 to 1."""
    bright = 0.17883277 * np.log(np.maximum(12 * light - 0.28466892, 1e-6)) + 0.55991073
    return np.asarray(np.where(light <= 1 / 12, np.sqrt(3 * light), bright))
