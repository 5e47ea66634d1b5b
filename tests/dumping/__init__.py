"""Dumps: written, read, restored, killed."""
