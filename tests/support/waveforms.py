"""The audio of videos as samples, to tell whether it is heard when it was."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
from media_factory import frame_times_of
from numpy.typing import NDArray


def waveform_of(path: Path) -> NDArray[np.float32]:
    """Decode a video's audio: samples at 48 kHz from the first image on."""
    begin = frame_times_of(path)[0]
    samples = np.zeros(6 * 48000, np.float32)
    resampler = av.AudioResampler("flt", "mono", 48000)
    end = -(10**6)
    with av.open(str(path)) as video:
        for frame in video.decode(audio=0):
            for piece in resampler.resample(frame):
                values = piece.to_ndarray()[0]
                start = round((piece.pts * piece.time_base - begin) * 48000)
                start = end if abs(start - end) < 100 else start  # Matroska knows milliseconds only
                end = start + len(values)
                samples[max(0, start) : max(0, end)] = values[max(0, -start) :]
    return samples


def delay_of(found: NDArray[np.float32], given: NDArray[np.float32]) -> int:
    """Tell by how many samples one waveform lags behind another."""
    spectrum = np.fft.rfft(found, 2 * len(found)) * np.conj(np.fft.rfft(given, 2 * len(given)))
    lag = int(np.argmax(np.fft.irfft(spectrum)))
    return lag if lag < len(found) else lag - 2 * len(found)
