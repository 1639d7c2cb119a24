"""What the README claims, as commands anyone can run."""
