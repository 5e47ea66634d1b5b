"""Feeds of changes, of one database or of all."""
