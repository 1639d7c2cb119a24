"""The speed and accuracy of models on this machine."""
