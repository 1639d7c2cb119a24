"""The routes, one module per subject. They know HTTP and the service and delegate the rest."""
