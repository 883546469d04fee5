"""Backends: torch runs the whole network, or OpenVINO runs the backbone and torch only the head."""
