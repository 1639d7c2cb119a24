"""Pixels: decoding photos, sizing them for a network, colouring and encoding depth. Knows no torch."""
