"""Weights files: found, fetched and verified before anything opens them."""
