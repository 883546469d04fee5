"""Copy audio, subtitles, data, attachments, chapters and metadata from the input."""
