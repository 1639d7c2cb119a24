"""The HTTP service: photos in, depth out, over a pool of workers. Only the CLI imports this package."""
