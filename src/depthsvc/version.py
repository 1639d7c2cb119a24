"""The version of depthsvc."""

__version__ = "0.2.0.dev0"
