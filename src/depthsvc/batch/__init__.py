"""`depthsvc batch`: find photos, estimate them with workers or a service, write and report the results."""
