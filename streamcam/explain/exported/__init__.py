"""Exported explainers: compiled explanations in one file, which run where torch is not installed.

Only what writes them imports torch.
"""
