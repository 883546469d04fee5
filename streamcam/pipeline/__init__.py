"""The stages linked together: threads, bounded channels, orderly ends."""
