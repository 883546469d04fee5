"""Metrics: pure functions of a map, an image and what the network says of it, and the table of them."""

from streamcam.evaluation.metrics.table import METRICS, Metric, asks_again

__all__ = ["METRICS", "Metric", "asks_again"]
