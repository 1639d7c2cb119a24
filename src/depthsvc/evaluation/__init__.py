"""How fast and how good models are on this machine."""
