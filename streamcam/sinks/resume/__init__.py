"""Videos encoded in segments, so that an interrupted render can go on."""
