"""Photo bytes and options to result bytes: the only room that joins imaging and model."""
