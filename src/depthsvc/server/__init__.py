"""HTTP: photos in, depth out, over a pool of workers. Nothing else imports this package but the CLI."""
