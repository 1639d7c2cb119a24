"""Weights files: found, downloaded and verified before anything opens them."""
