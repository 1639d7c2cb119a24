"""Videos: their frames and presentation times, read and written with FFmpeg through PyAV."""
