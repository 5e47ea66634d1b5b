"""Mango selectors: how they are read, and what they match. Pure."""
