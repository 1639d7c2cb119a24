"""Networks, one module per family, and the reading of their checkpoints."""
