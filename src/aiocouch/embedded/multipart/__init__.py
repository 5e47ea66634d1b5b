"""Multipart bodies: read and written piece by piece."""
