from __future__ import annotations

import numpy as np
import pytest

from streamcam.media.hdr import TRANSFERS, sdr_in_hdr


@pytest.mark.parametrize(
    ("transfer", "code"),
    [
        ("PQ", 0.5807),  # ITU-R BT.2408, table 1: 203 cd/m² is 58 % of PQ and 75 % of HLG
        ("HLG", 0.7498),
    ],
)
def test_white_is_as_bright_as_paper(transfer: str, code: float) -> None:
    coded = sdr_in_hdr(np.array([[255, 255, 255], [0, 0, 0]], np.float32), transfer) / 255
    np.testing.assert_allclose(coded, [[code] * 3, [0] * 3], atol=0.001)


@pytest.mark.parametrize("transfer", TRANSFERS.values())
def test_grays_stay_gray_and_in_order(transfer: str) -> None:
    grays = np.repeat(np.arange(256, dtype=np.float32)[:, None], 3, 1)
    coded = sdr_in_hdr(grays, transfer)
    assert coded.dtype == np.float32
    np.testing.assert_allclose(coded, coded[:, :1].repeat(3, 1), atol=0.05)
    assert (np.diff(coded[:, 0]) > 0).all()


def test_colors_are_of_the_wider_primaries() -> None:
    # Red of BT.709 is 0.6274, 0.0691, 0.0164 of BT.2020's primaries; of 203 cd/m² that is 127.4, 14.0, 3.3,
    # which PQ (SMPTE ST 2084) codes as 0.5325, 0.3272, 0.2197.
    coded = sdr_in_hdr(np.array([255, 0, 0], np.float32), "PQ") / 255
    np.testing.assert_allclose(coded, [0.5325, 0.327, 0.220], atol=0.003)
