"""Pixels: decoding photos, sizing them for a network, colouring and encoding depth. Independent of torch."""
