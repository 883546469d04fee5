"""Decoding in hardware, where that works."""

from __future__ import annotations

from av.codec.hwaccel import HWAccel, hwdevices_available

from streamcam.errors import unknown_name

NONE, AUTO = "none", "auto"


def devices_for(name: str) -> tuple[str, ...]:
    """List FFmpeg's names of the devices to try, in order; none for decoding in software.

    Args:
        name: A device's name, ``"auto"`` for every one that this build knows, or ``"none"``.

    Raises:
        UnknownNameError: if this build knows no such device.
    """
    available = hwdevices_available()
    if name == NONE:
        return ()
    if name == AUTO:
        return tuple(available)
    if name not in available:
        raise unknown_name("hardware decoder", name, [NONE, AUTO, *available])
    return (name,)


def accelerator(device: str) -> HWAccel:
    """Ask FFmpeg for a device; what it cannot decode it hands to software."""
    return HWAccel(device, allow_software_fallback=True)
