"""Photos: which formats there are, the bounds on their files, and decoding."""
