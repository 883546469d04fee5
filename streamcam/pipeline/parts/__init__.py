"""Long videos in parts that several workers explain at the same time."""
