"""What this machine gives to the process: CPUs, memory and folders."""
