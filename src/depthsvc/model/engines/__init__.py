"""The engines: a module for each, which alone imports its library, and the choice among them. Knows no torch."""
