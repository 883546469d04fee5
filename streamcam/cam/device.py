"""Choosing where and how precisely to compute."""

from __future__ import annotations

import torch

from streamcam.cam.engines.runtime import available, core
from streamcam.errors import InvalidArgumentError, unknown_name

PRECISIONS: dict[str, torch.dtype] = {
    "auto": torch.float32,
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""Every precision by name. Maps are always reduced in float32, whatever the network runs in."""


def choose_device(name: str) -> tuple[torch.device, str | None]:
    """Turn a device's name into a device that is there.

    Args:
        name: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` …, or one of OpenVINO's own as in
            ``"openvino:GPU"``.

    Returns:
        Where torch computes; and OpenVINO's name of its device, where one was asked for.

    Raises:
        InvalidArgumentError: if there is no such device here.
    """
    if name.startswith("openvino:"):
        return torch.device("cpu"), _openvino_device(name.removeprefix("openvino:"))
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), None
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu"), None
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).partition("\n")[0]
        raise InvalidArgumentError(
            f"device {name!r} cannot be used here ({reason}); --device auto takes the best there is"
        ) from error
    return device, None


def _openvino_device(name: str) -> str:
    if not available():
        raise InvalidArgumentError("openvino is not installed; pip install openvino, or use --device auto")
    devices = core().available_devices
    if name.partition(".")[0] not in {device.partition(".")[0] for device in devices}:
        raise unknown_name("OpenVINO device", name, devices)
    return name


def choose_precision(name: str) -> torch.dtype:
    """Turn a precision's name into a dtype.

    Raises:
        UnknownNameError: if there is no such precision.
    """
    if name not in PRECISIONS:
        raise unknown_name("precision", name, PRECISIONS)
    return PRECISIONS[name]
