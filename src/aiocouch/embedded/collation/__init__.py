"""The order of keys and of texts. Pure."""
