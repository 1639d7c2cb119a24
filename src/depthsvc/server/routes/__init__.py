"""The routes, a module for each subject. They know HTTP and the service, and leave the rest to others."""
