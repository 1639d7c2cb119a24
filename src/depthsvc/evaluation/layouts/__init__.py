"""Photos with their true depth, as data sets are published: a module each."""
