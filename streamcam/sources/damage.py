"""Counting the damage that reaches the wanted part of a video, and none besides."""

from __future__ import annotations

from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.media.images import Image


class DamageCounter:
    """What was found damaged, of one stream.

    What comes before the start counts as far as images of the part may refer to it: from the last keyframe
    before the start on. What lies behind the end counts if images before it are decoded after it.

    Attributes:
        packets: Packets that could not be decoded, or were marked as damaged.
        frames: Frames that the decoder gave with damage in them.
    """

    def __init__(self, start_pts: int | None, end_pts: int | None) -> None:
        """Assign.

        Args:
            start_pts: The first wanted time, in the stream's ticks; None for the beginning.
            end_pts: The first one that is not wanted any more; None for the end.
        """
        self.packets = 0
        self.frames = 0
        self._start_pts = start_pts
        self._end_pts = end_pts
        self._key_pts: int | None = None
        self._has_begun = start_pts is None
        self._behind_end = 0

    def begin_packet(self, packet: Packet[VideoStream]) -> None:
        """Take note of a packet before it is decoded."""
        if packet.pts is None:
            return
        if packet.is_keyframe and not self._has_begun and packet.pts <= (self._start_pts or 0):
            self.packets = self.frames = 0
            self._key_pts = packet.pts
        if self._end_pts is not None and packet.pts < self._end_pts:
            self.packets, self._behind_end = self.packets + self._behind_end, 0

    def lose(self, packet: Packet[VideoStream] | None) -> None:
        """Count a packet that was damaged; None where it is not known which."""
        pts = None if packet is None else packet.pts
        if self._is_behind_end(pts):
            self._behind_end += 1
        elif not self._is_before_key(pts):
            self.packets += 1

    def see(self, image: Image) -> None:
        """Take note of a decoded image."""
        pts = image.pts
        self._has_begun = self._has_begun or (pts is not None and pts >= (self._start_pts or 0))
        if image.is_corrupt and not self._is_behind_end(pts) and not self._is_before_key(pts):
            self.frames += 1

    def _is_before_key(self, pts: int | None) -> bool:
        return self._key_pts is not None and pts is not None and pts < self._key_pts

    def _is_behind_end(self, pts: int | None) -> bool:
        return self._end_pts is not None and pts is not None and pts >= self._end_pts
