"""The engines, one module each, which alone imports the engine's library, and the choice among them."""
