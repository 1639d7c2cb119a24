"""Incoming and outgoing bodies, and the limits on both."""
