"""FFmpeg in both directions: images, containers, encoders, filters, timecodes."""

from streamcam.media.x11 import load_x11_libraries

# Here because whoever decodes or encodes comes by, and before any window: also one of the caller's own.
load_x11_libraries()
