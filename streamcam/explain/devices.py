"""Devices and precisions: what this machine has, and which to compute with."""

from __future__ import annotations

import dataclasses

import torch

from streamcam.errors import InvalidArgumentError, map_errors, unknown_name
from streamcam.models.openvino_runtime import available, core

AUTO = "auto"

PRECISIONS: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
    "int8": torch.int8,
}
"""Every precision by name; int8 is for what OpenVINO runs. Maps are always reduced in float32, whatever the
network runs in."""

_CAPABILITIES = {"BF16": "bf16", "FP16": "fp16", "INT8": "int8"}
"""OpenVINO's names of what a processor has instructions for."""

_BACKEND_AUTO = {"CPU": "bf16", "GPU": "fp16", "NPU": "fp16"}
"""The precision to try on each kind of OpenVINO device, if it has instructions for it."""


@dataclasses.dataclass(frozen=True, slots=True)
class DeviceChoice:
    """The devices to compute on."""

    torch: torch.device
    """Torch's device."""
    openvino: str | None = None
    """OpenVINO's name of its device, if one was requested."""
    note: str | None = None
    """A sentence for the user about the choice."""


def choose_device(name: str) -> DeviceChoice:
    """Find a device by name, and check that it computes.

    Args:
        name: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"`` …, or one of OpenVINO's own as in
            ``"openvino:GPU"``.

    Raises:
        InvalidArgumentError: if there is no such device here.
    """
    if name.startswith("openvino:"):
        return DeviceChoice(torch.device("cpu"), _openvino_device(name.removeprefix("openvino:")))
    if name == AUTO:
        return _best_device()
    device = _torch_device(name)
    with map_errors(*_UNUSABLE, to=lambda error: _unusable(name, _reason(error))):
        _try(device)
    return DeviceChoice(device)


def _best_device() -> DeviceChoice:
    note = None
    for name, backend in (("cuda", torch.cuda), ("mps", torch.backends.mps)):
        if backend.is_available():
            try:
                _try(torch.device(name))
            except _UNUSABLE as error:
                note = f"device {name!r} exists but cannot be used ({_reason(error)})"
            else:
                return DeviceChoice(torch.device(name))
    return DeviceChoice(torch.device("cpu"), note=note)


_UNUSABLE = (RuntimeError, AssertionError, NotImplementedError)
"""Errors of torch for a device that does not exist, or that it was not built for."""


def _try(device: torch.device) -> None:
    """Compute something: a device that torch was not built for allocates memory, and then fails."""
    torch.ones(1, device=device).add(1).item()


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]


def _torch_device(name: str) -> torch.device:
    # torch's own message lists every device type that it knows.
    with map_errors(RuntimeError, to=lambda _: _unusable(name, "torch has no device of that name")):
        return torch.device(name)


def _unusable(name: str, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"device {name!r} cannot be used here ({reason}); `device='auto'` chooses the best available"
    )


def _openvino_device(name: str) -> str:
    if not available():
        raise InvalidArgumentError("openvino is not installed; pip install openvino, or use `device='auto'`")
    devices = core().available_devices
    if name.partition(".")[0] not in {device.partition(".")[0] for device in devices}:
        raise unknown_name("OpenVINO device", name, devices)
    return name


@dataclasses.dataclass(frozen=True, slots=True)
class Precision:
    """The precisions to try for a network."""

    names: tuple[str, ...]
    """Names in `PRECISIONS`, the preferred one first. All but the last are used only if they keep the bounds
    of `streamcam.explain.precision_check`; int8 if it passes a check of its own."""
    note: str | None = None
    """A sentence for the user about the choice."""


def choose_precision(name: str, device: torch.device, backend_device: str | None = None) -> Precision:
    """Choose the precisions to try for a network.

    Args:
        name: A name in `PRECISIONS`, or ``"auto"`` for the quickest that keeps labels and maps.
        device: Torch's device.
        backend_device: OpenVINO's name of its device, if one was requested.

    Raises:
        UnknownNameError: if there is no such precision.
        InvalidArgumentError: if it is int8, and the device is not one of OpenVINO's.
    """
    if name not in (AUTO, *PRECISIONS):
        raise unknown_name("precision", name, (AUTO, *PRECISIONS))
    if name == "int8" and (device.type != "cpu" or not available()):
        where = f"the device is {device.type}" if available() else "openvino is not installed"
        raise InvalidArgumentError(
            f"`precision='int8'` is for networks that OpenVINO runs, and {where}; use `precision='auto'`"
        )
    if device.type != "cpu":
        # Half precision has three bits more than bfloat16. On Apple's devices nothing has been measured yet.
        tried = ("fp16", "fp32") if device.type == "cuda" else ("fp32",)
        if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
            return Precision(("fp32",), "this device has no instructions for bf16: it computes in fp32")
        return Precision(tried if name == AUTO else (name,))
    if name == "fp32" or not available():
        return Precision(("fp32",) if name == AUTO else (name,))
    backend_device = backend_device or "CPU"
    supported = backend_precisions(backend_device)
    if name == AUTO:
        preferred = _BACKEND_AUTO.get(backend_device.partition(".")[0])
        return Precision((preferred, "fp32") if preferred in supported else ("fp32",))
    if name not in supported:
        return Precision(("fp32",), f"this processor has no instructions for {name}: it computes in fp32")
    return Precision((name, "fp32") if name == "int8" else (name,))


def backend_precisions(device: str) -> frozenset[str]:
    """Return the precisions below float32 that an OpenVINO device has instructions for."""
    capabilities = core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    return frozenset(_CAPABILITIES[name] for name in capabilities if name in _CAPABILITIES)


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
