"""The same network behind what a user might choose instead of depthsvc; run in a separate environment."""
