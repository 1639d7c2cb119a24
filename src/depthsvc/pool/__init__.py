"""Worker processes that each hold one warm pipeline: when a photo is computed, and what becomes of it if one dies."""
