"""The network that is used where none is named."""

DEFAULT_MODEL = "efficientnet_lite0"
"""A literal, because the command line reads it from the source text."""
