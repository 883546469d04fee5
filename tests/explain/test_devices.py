"""Which precision a network gets, from what there is."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explain import devices, precision_check
from streamcam.explain.devices import DeviceChoice, Precision, choose_device, choose_precision
from streamcam.models import Classifier, InputSpec, probe_layers
from streamcam.models.labels import numbered_labels

CPU, GPU, APPLE = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


def with_devices(monkeypatch: pytest.MonkeyPatch, there: set[str], broken: set[str]) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in there)

    def compute(where: torch.device) -> None:
        if where.type in broken or where.type not in {*there, "cpu"}:
            raise RuntimeError("no kernel image is available\nfor execution on the device")

    monkeypatch.setattr(devices, "_try", compute)


UNUSABLE = "device {!r} exists but cannot be used (no kernel image is available)"


@pytest.mark.parametrize(
    ("there", "broken", "place"),
    [
        ({"cuda", "mps"}, set(), DeviceChoice(GPU)),
        ({"mps"}, set(), DeviceChoice(APPLE)),
        (set(), set(), DeviceChoice(CPU)),
        ({"cuda"}, {"cuda"}, DeviceChoice(CPU, note=UNUSABLE.format("cuda"))),
        ({"mps"}, {"mps"}, DeviceChoice(CPU, note=UNUSABLE.format("mps"))),
    ],
)
def test_auto_takes_the_best_device_that_computes(
    there: set[str], broken: set[str], place: DeviceChoice, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_devices(monkeypatch, there, broken)
    assert choose_device("auto") == place


def test_a_device_that_is_asked_for_must_compute(monkeypatch: pytest.MonkeyPatch) -> None:
    with_devices(monkeypatch, {"cuda", "mps"}, {"cuda"})
    assert choose_device("mps") == DeviceChoice(APPLE)
    with pytest.raises(InvalidArgumentError, match=r"'cuda' cannot be used here \(no kernel image is availa"):
        choose_device("cuda")


@pytest.mark.parametrize("name", ["meta", "nonsense", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"device '{name}' cannot be used here .*`device='auto'`"):
        choose_device(name)


def having(monkeypatch: pytest.MonkeyPatch, *precisions: str) -> None:
    monkeypatch.setattr(devices, "available", lambda: True)
    monkeypatch.setattr(devices, "backend_precisions", lambda _device: frozenset(precisions))


@pytest.mark.parametrize(
    ("had", "on", "backend_device", "names"),
    [
        (("bf16", "fp16"), CPU, None, ("bf16", "fp32")),
        (("fp16",), CPU, None, ("fp32",)),
        ((), CPU, None, ("fp32",)),
        (("fp16",), CPU, "GPU.1", ("fp16", "fp32")),
        (("bf16",), GPU, None, ("fp16", "fp32")),
        (("bf16",), APPLE, None, ("fp32",)),
    ],
)
def test_auto_tries_what_there_are_instructions_for(
    monkeypatch: pytest.MonkeyPatch,
    had: tuple[str, ...],
    on: torch.device,
    backend_device: str | None,
    names: tuple[str, ...],
) -> None:
    having(monkeypatch, *had)
    assert choose_precision("auto", on, backend_device).names == names


def test_what_is_asked_for_by_name_is_taken_if_it_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    having(monkeypatch, "bf16")
    assert choose_precision("bf16", CPU).names == ("bf16",)
    assert choose_precision("fp32", CPU).names == ("fp32",)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert choose_precision("bf16", GPU).names == ("bf16",)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert choose_precision("bf16", GPU) == Precision(
        ("fp32",), "this device has no instructions for bf16: it computes in fp32"
    )
    refused = choose_precision("fp16", CPU)
    assert refused.names == ("fp32",)
    assert refused.note == "this processor has no instructions for fp16: it computes in fp32"


def test_unknown_precisions_are_refused() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown precision 'fp23'.*fp32"):
        choose_precision("fp23", CPU)


class Loud(nn.Module):
    """Activations of up to ``loudness``."""

    def __init__(self, loudness: float) -> None:
        super().__init__()
        self.features = nn.Conv2d(1, 2, 1, bias=False)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.features.weight.copy_(torch.tensor([loudness, loudness / 2]).view(2, 1, 1, 1))
            self.head.weight.copy_(torch.eye(2) / loudness)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(batch).mean(dim=(2, 3)))
        return logits


@pytest.mark.parametrize(("loudness", "dtype"), [(4.0, torch.float16), (1e6, torch.float32)])
def test_half_precision_is_taken_only_where_it_is_enough(loudness: float, dtype: torch.dtype) -> None:
    # Half precision ends at 65,504: beyond that the check finds infinity.
    spec = InputSpec(8, 8, mean=(0.5,), std=(0.5,))
    classifier = Classifier("loud", Loud(loudness), numbered_labels(2), spec, "none")
    batch = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    layers = [layer for layer in probe_layers(classifier, batch[:1]) if layer.name == "features"]
    dtypes = [torch.float16, torch.float32]
    assert precision_check.hooked_network(classifier, layers, dtypes, lambda: batch).dtype == dtype
