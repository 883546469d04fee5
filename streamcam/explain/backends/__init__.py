"""What runs the backbone: torch itself, or an inference backend with only the head left in torch."""

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
