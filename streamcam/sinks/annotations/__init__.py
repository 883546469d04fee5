"""Annotations: boxes and outlines of objects, or of heat, as labeling tools and training code read them."""
