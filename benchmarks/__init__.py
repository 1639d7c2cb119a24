"""What the documents claim, as commands anyone can run."""
