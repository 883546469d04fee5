"""Explanations compiled for OpenVINO, network, gradients and method: later runs need no torch.

Only `tracing` imports torch, and only what was not compiled before needs it.
"""
