"""Renders on several machines, by Ray."""

from streamcam.cluster.ray_cluster import RayCluster
from streamcam.cluster.worker import build_explainer

__all__ = ["RayCluster", "build_explainer"]
