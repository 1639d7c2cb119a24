"""The same network behind what a user might take instead of depthsvc; run in an environment of their own."""
