"""Mango: JSON indexes, the choice among them, and the queries of `_find`."""
