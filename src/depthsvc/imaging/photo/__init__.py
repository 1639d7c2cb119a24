"""Photos: their formats, the limits on their files, and decoding."""
