"""Photo bytes and options to result bytes: the only package that joins imaging and model."""
