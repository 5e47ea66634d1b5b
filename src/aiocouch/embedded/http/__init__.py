"""The HTTP side of the embedded server: routes, thin ones."""
