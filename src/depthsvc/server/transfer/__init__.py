"""Bodies on their way in and out, and the bounds on both."""
