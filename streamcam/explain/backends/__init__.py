"""Backends: torch runs the whole network, or OpenVINO runs the backbone and torch only the head."""

from streamcam.explain.backends.choice import BACKENDS, BackendRequest, choose_backend
from streamcam.explain.backends.cuda_graphs import captured_graphs_for
from streamcam.explain.backends.split_network import BackendMismatchError, SplitNetwork

__all__ = [
    "BACKENDS",
    "BackendMismatchError",
    "BackendRequest",
    "SplitNetwork",
    "captured_graphs_for",
    "choose_backend",
]
