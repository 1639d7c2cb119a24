"""Worker processes, each with one warm pipeline: queueing, deadlines, and retries when a worker dies."""
