"""`depthsvc doctor`: what is fine and what is wrong on this machine, a check a row."""
