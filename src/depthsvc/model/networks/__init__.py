"""Networks, a file for each family, and the reading of their checkpoints."""
