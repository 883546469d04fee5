"""What this machine has to compute with, in words."""

from __future__ import annotations

import torch

from streamcam.explain.backends.runtime import available, core


def describe_accelerators() -> list[str]:
    """List torch's devices and OpenVINO's, a line each."""
    lines = [f"torch on the CPU, {torch.get_num_threads()} threads"]
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        name, memory = torch.cuda.get_device_name(index), torch.cuda.get_device_properties(index).total_memory
        lines.append(f"torch on cuda:{index}, {name}, {memory / 1e9:.0f} GB")
    if torch.backends.mps.is_available():
        lines.append("torch on mps, Apple's GPU")
    if not available():
        return [*lines, "OpenVINO is not installed"]
    for device in core().available_devices:
        lines.append(f"OpenVINO on {device}, {core().get_property(device, 'FULL_DEVICE_NAME')}")
    return lines
