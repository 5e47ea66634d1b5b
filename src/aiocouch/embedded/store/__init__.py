"""Databases on SQLite, one folder each, or all in memory."""
