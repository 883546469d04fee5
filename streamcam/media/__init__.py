"""What FFmpeg can do, in both directions: images, containers, encoders, filters, timecodes."""
