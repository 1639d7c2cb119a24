"""More than one machine: the same pipeline in the processes of a Ray cluster. Needs the extra `ray`."""
